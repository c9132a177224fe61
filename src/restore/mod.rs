//! The restore as a machine: its states, what may follow what, what is written
//! in the journal, and what to do after a crash in each state. Pure.
//! docs/restore.md draws it with these names.

mod record;
mod state;

pub use record::Record;
pub use state::{AfterCrash, Event, IllegalStep, State};
