//! The folders of a restore on disk: what lies there, and renames carried out.

use std::path::PathBuf;

use crate::agent::Agent;
use crate::model::AgentError;
use crate::restore::{Move, Order, Place, Places, Record};
use crate::sys::files;

/// Of one restore, and of the one that it undoes.
pub(super) struct Folders<'a> {
    agent: &'a Agent,
    id: &'a str,
    undoes: Option<&'a str>,
}

impl<'a> Folders<'a> {
    pub fn of_order(agent: &'a Agent, order: &'a Order) -> Self {
        Self { agent, id: &order.id, undoes: order.undoes.as_deref() }
    }

    pub fn of_record(agent: &'a Agent, record: &'a Record) -> Self {
        Self { agent, id: &record.id, undoes: record.undoes.as_deref() }
    }

    pub fn is_undo(&self) -> bool {
        self.undoes.is_some()
    }

    fn path(&self, place: Place) -> PathBuf {
        let layout = self.agent.layout();
        match place {
            Place::Data => layout.data(),
            Place::Aside => layout.aside(self.id),
            Place::Beside => layout.beside(self.id),
            // A restore that undoes nothing has no such place: nothing lies there.
            Place::Undone => layout.aside(self.undoes.unwrap_or("none")),
        }
    }

    pub fn places(&self) -> Places {
        let lies = |place| files::exists(&self.path(place));
        Places {
            data: lies(Place::Data),
            aside: lies(Place::Aside),
            beside: lies(Place::Beside),
            undone: self.is_undo() && lies(Place::Undone),
        }
    }

    /// In their order; each is durable before the next.
    pub fn carry_out(&self, doing: &'static str, moves: &[Move]) -> Result<(), AgentError> {
        for step in moves {
            let done = match *step {
                Move::Rename { from, to } => files::rename(&self.path(from), &self.path(to)),
                Move::Remove(place) => files::remove_folder(&self.path(place)),
            };
            done.map_err(|error| AgentError::fault(doing, error))?;
        }
        Ok(())
    }
}
