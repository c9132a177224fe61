//! The charm: why Juju started us, and what then is done.

mod actions;
mod options;
mod reconcile;
mod tools;

use std::env;
use std::time::SystemTime;

use anyhow::Result;
use time::OffsetDateTime;

use crate::authority::Home;

pub fn dispatch(path: &str) -> Result<()> {
    match path.split_once('/') {
        Some(("actions", name)) => act(name),
        // The storage goes or is gone, and with it the CA.
        Some(("hooks", "stop" | "remove" | "authority-storage-detaching")) => Ok(()),
        Some(("hooks", _)) => reconcile::run(),
        _ => Ok(()),
    }
}

/// A failed action still exits 0: otherwise Juju replaces our words by "exit status 1".
fn act(name: &str) -> Result<()> {
    match actions::run(name) {
        Ok(results) => tools::action_set(&results),
        Err(err) => tools::action_fail(&format!("{err:#}")),
    }
}

/// The home of this unit's CA: its storage, once that is attached. Not the charm's directory: an upgrade may empty it.
fn home() -> Result<Option<Home>> {
    let Some(id) = tools::storage_ids("authority")?.into_iter().next() else { return Ok(None) };
    Ok(Some(Home::new(tools::storage_location(&id)?)))
}

fn our_app() -> String {
    let unit = variable("JUJU_UNIT_NAME");
    unit.split_once('/').map_or(unit.clone(), |(app, _)| app.to_owned())
}

fn now() -> OffsetDateTime {
    SystemTime::now().into()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
