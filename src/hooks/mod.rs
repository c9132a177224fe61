//! Hooks. Nearly every one runs the same reconcile: nothing waits for "its"
//! event, and a fault that heals outside heals the status at the next hook.

mod cluster_store;
mod engine_server;
mod inputs;
mod install;
mod peers;
mod reconcile;
mod replica;
mod repository;
mod rotation;
mod start_member;
mod system_users;
mod teardown;
mod tls;
mod unit_service;
mod wal;

use crate::juju::{Context, Juju};
use crate::model::AgentError;
use crate::sys::environment::Vars;

/// Runs one hook. Hooks we know nothing of reconcile too.
pub async fn run(vars: &Vars, context: Context, juju: Juju, name: &str) -> Result<(), AgentError> {
    tracing::debug!(hook = name, unit = %context.unit, "hook");
    match name {
        "install" => install::install(vars, &juju).await,
        "stop" | "remove" | "pgdata-storage-detaching" => teardown::teardown(vars, &context, &juju).await,
        "secret-remove" => teardown::remove_obsolete_secret(vars, &juju).await,
        _ => {
            // Storage is attached before `install` runs, and needs the packages' OS user.
            install::install(vars, &juju).await?;
            reconcile::reconcile(vars, &context, &juju).await
        }
    }
}
