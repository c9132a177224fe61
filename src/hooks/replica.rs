//! Where a replica without data gets it from: the repository when that is sane,
//! else the primary.

use crate::agent::Agent;
use crate::model::AgentError;

pub(super) async fn choose_source(_agent: &mut Agent) -> Result<(), AgentError> {
    Ok(())
}
