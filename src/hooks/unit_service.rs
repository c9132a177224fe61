//! The unit service runs on every unit: others may need its answer, and backups may be due.

use std::time::Duration;

use crate::agent::Agent;
use crate::model::AgentError;
use crate::sys::process::Invocation;
use crate::sys::services::{Children, Service};
use crate::sys::{environment, files};

const NAME: &str = "unit-service";

/// Another program (a charm that was refreshed) is another service.
pub(super) async fn ensure(agent: &Agent) -> Result<(), AgentError> {
    let failed = |error| AgentError::fault("running the unit service", error);
    let services = &agent.member.services;
    let service = service(agent)?;
    if !services.is_running(NAME).await {
        return services.start(&service).await.map_err(failed);
    }
    match services.runs_as(&service).await {
        true => Ok(()),
        false => services.replace(&service).await.map_err(failed),
    }
}

fn service(agent: &Agent) -> Result<Service, AgentError> {
    let failed = |error| AgentError::fault("looking for our own program", error);
    let program = environment::own_program().map_err(failed)?;
    let stamp = files::stamp(&program).map_err(failed)?;
    let unit_dir = agent.layout().root().display().to_string();
    let invocation = Invocation::new(program.display().to_string())
        .args(["unit-service", "--unit-dir", &unit_dir])
        .env("PROGRAM", &stamp)
        .env("PG_BACKUP_AGENT_LOG", "info");
    // A service that ends while it copies, starts or stops a database leaves those to the next.
    Ok(Service {
        name: NAME,
        invocation,
        log: agent.layout().log().join("unit-service.log"),
        children: Children::OutliveIt,
    })
}

pub(super) async fn stop(agent: &Agent) -> Result<(), AgentError> {
    let stopped = agent.member.services.stop(NAME, Duration::from_secs(5)).await;
    stopped.map_err(|error| AgentError::fault("stopping the unit service", error))
}
