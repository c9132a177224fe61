//! The matrix: in which state of a restore what breaks, which of these cannot be, and
//! which are tried in every `make test`.

/// States of docs/restore.md, in their order: the journal's, and the order's where all units take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Fetching,
    Recovering,
    Proven,
    Held,
    Seal,
    Hold,
    StopPrimary,
    StopReplicas,
    Aside,
    Adopting,
    Join,
    PutBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Agent,
    Child,
    Everything,
    Store,
    Disk,
    Leader,
    Replica,
    Driver,
    Primary,
    Service,
}

use Fault::{Agent, Child, Disk, Driver, Everything, Leader, Primary, Replica, Service, Store};
use State::{
    Adopting, Aside, Fetching, Held, Hold, Join, Proven, PutBack, Recovering, Seal, StopPrimary, StopReplicas,
};

pub const STATES: [State; 12] =
    [Fetching, Recovering, Proven, Held, Seal, Hold, StopPrimary, StopReplicas, Aside, Adopting, Join, PutBack];

pub const FAULTS: [Fault; 10] = [Agent, Child, Everything, Store, Disk, Leader, Replica, Driver, Primary, Service];

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Fetching => "Fetching",
            Recovering => "Recovering",
            Proven => "Proven",
            Held => "Held",
            Seal => "Seal",
            Hold => "Hold",
            StopPrimary => "StopPrimary",
            StopReplicas => "StopReplicas",
            Aside => "Switching/Aside",
            Adopting => "Adopting",
            Join => "Committed/Join",
            PutBack => "RollingBack/PutBack",
        }
    }

    /// As the driver's journal and its part on disk have it: the part is begun when the order is told.
    pub fn is(self, journal: &str, stage: &str) -> bool {
        match self {
            Fetching => journal == "fetching",
            Recovering => journal == "recovering",
            Proven => journal == "proven",
            Held => journal == "held",
            Seal => (journal, stage) == ("stopping", "seal"),
            Hold => (journal, stage) == ("stopping", "hold"),
            StopPrimary => (journal, stage) == ("stopping", "stop-primary"),
            StopReplicas => (journal, stage) == ("stopping", "stop-replicas"),
            Aside => (journal, stage) == ("switching", "aside"),
            Adopting => (journal, stage) == ("adopting", "aside"),
            Join => stage == "join",
            PutBack => (journal, stage) == ("rolling-back", "put-back"),
        }
    }
}

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Agent => "the agent killed",
            Child => "a child killed",
            Everything => "everything of the driver killed",
            Store => "the store stopped",
            Disk => "the driver's disk full",
            Leader => "Juju's leader moved",
            Replica => "a replica's machine gone",
            Driver => "the driver's machine gone",
            Primary => "the primary's machine gone",
            Service => "a replica's service killed",
        }
    }
}

/// Why a cell is left out.
#[rustfmt::skip]
pub const CANNOT_BE: &[(State, Fault, &str)] = &[
    (Held,   Agent, "no agent runs: the action is over, a person is waited for"),
    (Proven, Child, "no child runs: the copy is shut down, nothing is stopped yet"),
    (Hold,   Child, "no child runs: Patroni is sent a signal, PostgreSQL goes on"),
    (Aside,  Child, "no child runs but one that asks whether PostgreSQL does, for milliseconds"),
];

pub fn cannot_be(state: State, fault: Fault) -> Option<&'static str> {
    CANNOT_BE.iter().find(|(at, what, _)| (*at, *what) == (state, fault)).map(|(_, _, why)| *why)
}

/// Quick ones which tests/restore.rs does not have.
pub const SAMPLE: &[(State, Fault)] =
    &[(Recovering, Child), (Seal, Agent), (StopReplicas, Child), (Adopting, Child), (PutBack, Agent)];

/// What is tried now, and in this order.
pub fn chosen(all: bool) -> Vec<(State, Fault)> {
    if !all {
        return SAMPLE.to_vec();
    }
    let every = STATES.into_iter().flat_map(|state| FAULTS.map(|fault| (state, fault)));
    every.filter(|(state, fault)| cannot_be(*state, *fault).is_none()).collect()
}
