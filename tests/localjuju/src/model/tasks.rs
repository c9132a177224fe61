//! Operations and their tasks: actions and `juju exec`. Data only.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Time;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TaskStatus {
    Pending,
    Running,
    Completed,
    Failed,
    Aborting,
    Aborted,
    Cancelled,
}

impl TaskStatus {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborting => "aborting",
            Self::Aborted => "aborted",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Running | Self::Aborting)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) id: u64,
    pub(crate) summary: String,
    pub(crate) tasks: Vec<u64>,
    pub(crate) enqueued: Time,
    /// Units for which nothing could be scheduled.
    pub(crate) fail: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: u64,
    pub(crate) operation: u64,
    pub(crate) unit: String,
    pub(crate) name: String,
    pub(crate) params: Map<String, Value>,
    /// For `juju exec`: the commands.
    pub(crate) commands: Option<String>,
    pub(crate) status: TaskStatus,
    pub(crate) message: String,
    pub(crate) results: Map<String, Value>,
    pub(crate) log: Vec<(Time, String)>,
    pub(crate) enqueued: Time,
    pub(crate) started: Option<Time>,
    pub(crate) completed: Option<Time>,
    /// `None`: no machine lock (parallel). Else the name of the lock.
    pub(crate) lock: Option<String>,
}
