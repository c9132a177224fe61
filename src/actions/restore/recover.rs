//! Recovers the copy where nobody can reach it, proves that it is a database,
//! gives the system users their present passwords, shuts it down.

use std::time::Duration;

use crate::agent::Agent;
use crate::cluster::{Isolated, IsolatedError, Postgres, RunningServer};
use crate::model::{AgentError, Timeline};
use crate::policy::restore::{RestorePlan, ended};
use crate::restore::Record;
use crate::settings::SystemUsers;

pub(super) fn place(agent: &Agent, record: &Record) -> Isolated {
    Isolated {
        runner: agent.runner.clone(),
        user: agent.user.clone(),
        data: agent.layout().beside(&record.id),
        scratch: agent.layout().scratch(&record.id),
    }
}

/// The timeline that it is on, and how recovery ended, in the server's words.
pub(super) async fn recover(
    agent: &Agent,
    record: &Record,
    plan: &RestorePlan,
) -> Result<(Timeline, String), AgentError> {
    let place = place(agent, record);
    // Before the server is started: without them the restored cluster could not be entered.
    let users = agent.users()?;
    let failed = |error| AgentError::fault("recovering the copy", error);
    place.learn_histories(&agent.layout().data()).await.map_err(failed)?;
    let timeline = run(&place, &users).await.map_err(failed)?;
    let said = ended(&plan.goal, plan.least(), &place.said());
    let said = said.map_err(|error| AgentError::fault("recovering the copy", error))?;
    place.remove_scratch().map_err(|error| AgentError::fault("tidying the copy", error))?;
    Ok((timeline, said))
}

async fn run(place: &Isolated, users: &SystemUsers) -> Result<Timeline, IsolatedError> {
    let mut server = place.start()?;
    let session = server.recovered().await?;
    verify(&server, &session).await?;
    // The backup holds the passwords of its day.
    session.ensure_roles(users).await?;
    session.checkpoint().await?;
    drop(session);
    let data = server.stop(Duration::from_secs(300)).await?;
    place.tidy().await?;
    Ok(data.timeline)
}

/// Every database opens and its catalog can be read to the end.
pub(super) async fn verify(server: &RunningServer<'_>, session: &Postgres) -> Result<(), IsolatedError> {
    for database in session.databases().await? {
        server.connect(&database).await?.relations().await?;
    }
    Ok(())
}
