//! Where an action's progress and results go: Juju's, or a terminal's.

use crate::juju::Juju;

/// Keys and values of `action-set`.
pub type Results = Vec<(String, String)>;

/// Lines while it runs.
pub enum Progress {
    ActionLog(Juju),
    Terminal,
    /// Nobody waits for them: the agent's log.
    Log,
}

impl Progress {
    pub fn to_action_log(juju: Juju) -> Self {
        Self::ActionLog(juju)
    }

    /// A line that cannot be shown must not stop the work.
    pub async fn say(&self, line: &str) {
        match self {
            Self::ActionLog(juju) => {
                if let Err(error) = juju.action_log(line).await {
                    tracing::warn!("action-log: {error}");
                }
            }
            Self::Terminal => eprintln!("{line}"),
            Self::Log => tracing::info!("{line}"),
        }
    }
}
