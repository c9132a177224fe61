//! cancel-restore: the copy of a held restore goes; the cluster was never touched.

use super::journal::Journal;
use super::{held, rollback};
use crate::actions::Results;
use crate::agent::Agent;
use crate::model::AgentError;

pub async fn cancel_restore(agent: &mut Agent) -> Result<Results, AgentError> {
    let record = held::required(agent)?;
    held::close(agent, &record).await?;
    let mut journal = Journal::open(agent, record)?;
    rollback::drop(agent, &mut journal, "cancelled").await?;
    super::drop_keys(agent);
    Ok(vec![("restore-status".to_owned(), "restore cancelled, the cluster is as it was".to_owned())])
}
