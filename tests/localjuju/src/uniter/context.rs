//! One run of the charm: what it may ask, and what it has asked for but is only done when it ends well. Data only.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::hook::Hook;
use crate::model::secrets::Content;
use crate::model::{Owner, Port, Time};

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) id: String,
    pub(crate) unit: String,
    pub(crate) run: Run,
    pub(crate) buffer: Buffer,
    /// config-get answers the same all through one run.
    pub(crate) config: Option<Map<String, Value>>,
    pub(crate) action: ActionState,
    pub(crate) reboot: Reboot,
}

#[derive(Debug, Clone)]
pub(crate) enum Run {
    Hook(Hook),
    Action {
        task: u64,
        name: String,
        params: Map<String, Value>,
    },
    /// Commands of `juju-exec`, perhaps with a relation chosen by `-r`.
    Commands {
        relation: Option<u32>,
        remote: Option<String>,
    },
}

#[derive(Debug, Default)]
pub(crate) struct ActionState {
    pub(crate) results: Map<String, Value>,
    pub(crate) failed: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reboot {
    #[default]
    No,
    After,
    Now,
}

/// Everything that waits for exit 0.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    pub(crate) unit_bags: BTreeMap<u32, BTreeMap<String, String>>,
    pub(crate) app_bags: BTreeMap<u32, BTreeMap<String, String>>,
    pub(crate) open: BTreeSet<Port>,
    pub(crate) close: BTreeSet<Port>,
    /// `None` deletes.
    pub(crate) state: BTreeMap<String, Option<String>>,
    pub(crate) add: BTreeMap<String, NewSecret>,
    pub(crate) set: BTreeMap<String, SecretChange>,
    pub(crate) remove: BTreeMap<String, Option<BTreeSet<u32>>>,
    pub(crate) grants: Vec<GrantChange>,
    pub(crate) storage: BTreeMap<String, u32>,
}

#[derive(Debug, Clone)]
pub(crate) struct NewSecret {
    pub(crate) owner: Owner,
    pub(crate) change: SecretChange,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct SecretChange {
    pub(crate) content: Option<Secretly>,
    pub(crate) label: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) rotate: Option<String>,
    pub(crate) expires: Option<Time>,
}

/// Content that does not print itself.
#[derive(Clone)]
pub(crate) struct Secretly(pub(crate) Content);

impl std::fmt::Debug for Secretly {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secretly(…)")
    }
}

#[derive(Debug, Clone)]
pub(crate) struct GrantChange {
    pub(crate) id: String,
    pub(crate) target: Option<String>,
    pub(crate) relation: Option<u32>,
    pub(crate) grant: bool,
}

impl Context {
    pub(crate) fn new(id: String, unit: &str, run: Run) -> Self {
        Self {
            id,
            unit: unit.to_owned(),
            run,
            buffer: Buffer::default(),
            config: None,
            action: ActionState::default(),
            reboot: Reboot::No,
        }
    }

    pub(crate) fn hook(&self) -> Option<&Hook> {
        match &self.run {
            Run::Hook(hook) => Some(hook),
            _ => None,
        }
    }

    /// The relation that is meant when a tool names none.
    pub(crate) fn relation(&self) -> Option<u32> {
        match &self.run {
            Run::Hook(hook) => hook.relation().map(|relation| relation.id),
            Run::Commands { relation, .. } => *relation,
            Run::Action { .. } => None,
        }
    }

    /// What debug-log calls this run.
    pub(crate) fn name(&self) -> String {
        match &self.run {
            Run::Hook(hook) => hook.name(),
            Run::Action { name, .. } => name.clone(),
            Run::Commands { .. } => "juju-exec".to_owned(),
        }
    }
}
