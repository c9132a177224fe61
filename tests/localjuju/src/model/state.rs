//! The whole stored state: what survives a restart. Data only.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Bridge, LocalRelation, Machine, Operation, Relation, Secret, Task};
use crate::charm::Charm;
use crate::uniter::hook::Hook;

pub(crate) type Time = DateTime<Utc>;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) current: Option<String>,
    pub(crate) models: BTreeMap<String, Model>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Life {
    #[default]
    Alive,
    Dying,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) created: Time,
    /// The model's own `127.a.b.0/24`.
    pub(crate) subnet: (u8, u8),
    /// With `localjuju-network=namespaces`: the network used instead.
    #[serde(default)]
    pub(crate) bridge: Option<Bridge>,
    #[serde(default)]
    pub(crate) last_address: u8,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) apps: BTreeMap<String, App>,
    pub(crate) units: BTreeMap<String, Unit>,
    pub(crate) machines: BTreeMap<u32, Machine>,
    pub(crate) relations: BTreeMap<u32, Relation>,
    pub(crate) storage: BTreeMap<String, Storage>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) tasks: BTreeMap<u64, Task>,
    pub(crate) operations: BTreeMap<u64, Operation>,
    pub(crate) next_task: u64,
    pub(crate) next_relation: u32,
    pub(crate) next_storage: u32,
    pub(crate) next_machine: u32,
    /// Unit numbers are never used again, not even after remove-application.
    pub(crate) next_unit: BTreeMap<String, u32>,
    pub(crate) life: Life,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StatusValue {
    pub(crate) current: String,
    pub(crate) message: String,
    pub(crate) since: Time,
}

impl StatusValue {
    pub(crate) fn new(current: &str, message: &str, since: Time) -> Self {
        Self { current: current.to_owned(), message: message.to_owned(), since }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct App {
    pub(crate) name: String,
    pub(crate) charm: Charm,
    pub(crate) charm_rev: u32,
    /// Options set by the user; defaults stay in the charm.
    pub(crate) config: BTreeMap<String, Value>,
    pub(crate) leader: Option<String>,
    pub(crate) leader_settings: BTreeMap<String, String>,
    pub(crate) leader_settings_version: u64,
    pub(crate) life: Life,
    /// Set by `status-set --application`.
    pub(crate) status: Option<StatusValue>,
    pub(crate) version: String,
    pub(crate) trusted: bool,
    pub(crate) exposed: bool,
    /// Storage directives of `deploy --storage`: name -> count for units to come.
    pub(crate) storage: BTreeMap<String, u32>,
    pub(crate) deployed: Time,
}

impl App {
    /// What `config-get --all` answers: defaults under the user's values; unset options are null.
    pub(crate) fn settings(&self) -> serde_json::Map<String, Value> {
        self.charm
            .config
            .iter()
            .map(|(name, option)| {
                let value = self.config.get(name).or(option.default.as_ref());
                (name.clone(), value.cloned().unwrap_or(Value::Null))
            })
            .collect()
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unit {
    pub(crate) name: String,
    pub(crate) app: String,
    pub(crate) machine: u32,
    pub(crate) address: String,
    pub(crate) principal: Option<String>,
    pub(crate) life: Life,
    pub(crate) workload: StatusValue,
    /// Since when the agent is in its present status.
    pub(crate) agent_since: Time,
    pub(crate) ports: BTreeSet<Port>,
    /// `state-set`.
    pub(crate) state: BTreeMap<String, String>,
    pub(crate) local: Local,
}

/// What the unit's agent remembers between operations.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Local {
    pub(crate) installed: bool,
    pub(crate) started: bool,
    pub(crate) stopped: bool,
    /// The machine has booted and the charm was not told yet.
    pub(crate) rebooted: bool,
    pub(crate) removed: bool,
    /// The process of this operation is running (or was, when we were killed).
    pub(crate) running: Option<Running>,
    /// To be run before anything else (start after config-changed, a hook that was killed).
    pub(crate) queued: Option<Hook>,
    pub(crate) failed: Option<Failed>,
    pub(crate) leader: bool,
    pub(crate) leader_settings_seen: u64,
    pub(crate) config_seen: Option<u64>,
    pub(crate) charm_rev: u32,
    pub(crate) update_status_at: Option<Time>,
    pub(crate) relations: BTreeMap<u32, LocalRelation>,
    /// Storage whose attached hook has run.
    pub(crate) attached: BTreeSet<String>,
    /// All storage it ever had: its processes may still be at work there when the unit ends.
    pub(crate) used: BTreeSet<String>,
    /// Latest revision of a consumed secret that secret-changed has announced.
    pub(crate) secrets_seen: BTreeMap<String, u32>,
    /// Own revisions announced by secret-remove and secret-expired.
    pub(crate) obsolete_seen: BTreeSet<(String, u32)>,
    pub(crate) expired_seen: BTreeSet<(String, u32)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) what: Work,
    pub(crate) since: Time,
    pub(crate) context: String,
    pub(crate) pid: Option<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Work {
    Hook(Hook),
    /// An action or a `juju exec`, by task.
    Task(u64),
    /// A `juju-exec` asked for by a process on the unit; its caller waits on a connection.
    Command(u64),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) hook: Hook,
    pub(crate) attempts: u32,
    pub(crate) since: Time,
    pub(crate) retry_at: Option<Time>,
    /// `resolved`: retry at once.
    pub(crate) resolved: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Port {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) protocol: String,
    pub(crate) endpoint: String,
}

impl Port {
    pub(crate) fn range(&self) -> String {
        match (self.protocol.as_str(), self.from == self.to) {
            ("icmp", _) => "icmp".to_owned(),
            (protocol, true) => format!("{}/{protocol}", self.from),
            (protocol, false) => format!("{}-{}/{protocol}", self.from, self.to),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Storage {
    /// `pgdata/0`.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) unit: Option<String>,
    pub(crate) location: String,
    pub(crate) kind: String,
    pub(crate) since: Time,
    pub(crate) destroy: bool,
}
