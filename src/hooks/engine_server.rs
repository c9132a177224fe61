//! pgBackRest's server: by it the other units read this one's files, over TLS
//! and with certificates on both sides.

use std::time::Duration;

use crate::agent::Agent;
use crate::model::AgentError;
use crate::sys::files;
use crate::sys::services::{Children, Service};

const NAME: &str = "pgbackrest";

/// Runs it where other units may ask, and has it read what has changed.
pub(super) async fn ensure(agent: &mut Agent) -> Result<(), AgentError> {
    let failed = |error| AgentError::fault("running pgBackRest's server", error);
    let services = &agent.member.services;
    let read = |path: std::path::PathBuf| files::read(&path).ok().flatten().unwrap_or_default();
    let conf = read(agent.layout().pgbackrest_conf());
    if !conf.contains("\ntls-server-auth=") {
        return services.stop(NAME, Duration::from_secs(20)).await.map_err(failed);
    }
    let service = Service {
        name: NAME,
        invocation: agent.engine().server(),
        log: agent.layout().log().join("pgbackrest-server.log"),
        children: Children::EndWithIt,
    };
    let told = agent.digest(&[&conf, &read(agent.layout().unit_pem()), &read(agent.layout().trusted())]);
    let services = agent.member.services.clone();
    if !services.is_running(NAME).await {
        services.start(&service).await.map_err(failed)?;
    } else if agent.file.engine_server_told != told {
        services.reload(NAME).await.map_err(failed)?;
    }
    agent.file.engine_server_told = told;
    Ok(())
}

pub(super) async fn stop(agent: &Agent) -> Result<(), AgentError> {
    let stopped = agent.member.services.stop(NAME, Duration::from_secs(20)).await;
    stopped.map_err(|error| AgentError::fault("stopping pgBackRest's server", error))
}
