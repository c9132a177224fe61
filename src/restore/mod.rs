//! The restore as a machine: its states, what may follow what, what is written
//! in the journal, what to do after a crash in each state, and what the units of
//! a cluster do about it. Pure. docs/restore.md draws it with these names.

mod order;
pub mod places;
mod record;
#[cfg(test)]
mod simulation;
mod state;

pub use order::{
    Found, Order, Part, PartRecord, Stage, StageName, Task, Verdict, after_driver, first_back, found,
    newest_of_the_dead, task, the_primary,
};
pub use places::{Move, Place, Places};
pub use record::Record;
pub use state::{AfterCrash, Event, IllegalStep, State};
