//! This unit's part in a restore that another unit drives: what its service and
//! its hooks do about it.

use std::time::Duration;

use super::{orders, part, part_file};
use crate::agent::{Agent, RestoreKeys, Told};
use crate::model::{AgentError, error_chain};
use crate::policy::status::{Condition, maintenance, waiting};
use crate::restore::{PartRecord, Task, Verdict, after_driver, task};

/// Somebody waits for it as long.
const SEAL: Duration = Duration::from_secs(85);

/// Is this unit in the middle of a restore? Then nothing may be started before
/// [`follow`] has spoken.
pub(super) fn is_open(agent: &Agent) -> Result<bool, AgentError> {
    Ok(part_file::newest(agent)?.is_some_and(|record| !record.is_over()))
}

/// What there is to do for this unit, and the order that says so.
pub async fn due(agent: &Agent, keys: &RestoreKeys) -> Result<(Task, Option<Told>), AgentError> {
    let told = keys.order().await?;
    let record = part_file::newest(agent)?;
    let answers = if told.is_some() { keys.parts().await? } else { Vec::new() };
    let to_do = task(&agent.unit.to_string(), told.as_ref().map(|told| &told.order), record.as_ref(), &answers);
    Ok((to_do, told))
}

/// Does this unit's part. What it answers keeps everything else on the unit back.
pub async fn follow(agent: &mut Agent, keys: &RestoreKeys) -> Result<Option<Condition>, AgentError> {
    let (to_do, told) = due(agent, keys).await?;
    let Some(told) = told else {
        return Ok(
            (to_do == Task::Wait).then(|| waiting("in the middle of a restore that the cluster store does not know"))
        );
    };
    if to_do == Task::Do {
        // The driver's own part is the driver's.
        if told.order.driver == agent.unit.to_string() && told.order.stage.is_open() {
            return Ok(Some(under_way(&told)));
        }
        let done = part::perform(agent, &told.order).await?;
        keys.answer(&done).await?;
        if let Some(why) = done.failed {
            return Ok(Some(waiting(format!("{}: {why}", under_way(&told).text()))));
        }
    }
    Ok(match to_do {
        Task::Wait => Some(waiting(wait_words(part_file::newest(agent)?))),
        Task::Do | Task::Stay if told.order.stage.is_open() => Some(under_way(&told)),
        _ => None,
    })
}

fn under_way(told: &Told) -> Condition {
    let order = &told.order;
    maintenance(format!("restoring backup {}: {} ({} restores)", order.label, order.stage.words(), order.driver))
}

fn wait_words(record: Option<PartRecord>) -> String {
    let of = record.map_or_else(String::new, |record| format!(" of {}", record.label));
    format!("in the middle of a restore{of}; it goes on as soon as the unit that restores is heard again")
}

/// A plan that a replica makes waits for the primary's last WAL in the repository.
pub async fn seal_if_asked(agent: &Agent, keys: &RestoreKeys) -> Result<(), AgentError> {
    let Some(name) = keys.seal_asked().await? else { return Ok(()) };
    if keys.leader().await?.is_none_or(|leader| leader != agent.member.name) {
        return Ok(());
    }
    let sealed = match agent.postgres().await {
        Ok(session) => session.seal(&name, SEAL).await.map(drop),
        Err(error) => Err(error),
    };
    keys.tell_sealed(name, sealed.err().map(|error| error_chain(&error))).await
}

/// A driver that is gone: its restore is committed when the restored cluster
/// serves, else it is taken back. `why` is for whoever asks later.
pub async fn take_over(agent: &mut Agent, keys: &RestoreKeys, told: Told) -> Result<(), AgentError> {
    let leads = keys.leader().await?.and_then(|member| orders::unit_of(&member));
    match after_driver(&told.order, leads.as_deref()) {
        Verdict::Commit => orders::commit_for(agent, told).await,
        Verdict::PutBack => {
            let why = format!("{}, which restored, is gone", told.order.driver);
            orders::take_over(agent, told, &why).await
        }
    }
}
