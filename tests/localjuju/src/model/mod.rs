//! The nouns of a model and how they are stored. No rules here: see the files beside this one.

pub(crate) mod hosts;
pub(crate) mod names;
pub(crate) mod relations;
pub(crate) mod secrets;
mod state;
pub(crate) mod status;
mod tasks;

pub(crate) use hosts::{Bridge, Link, Machine};
pub(crate) use relations::{Endpoint, LocalRelation, Relation, Role};
pub(crate) use secrets::{Owner, Secret};
pub(crate) use state::*;
pub(crate) use tasks::{Operation, Task, TaskStatus};
