//! The charm: why Juju started us, and what then is done.

mod actions;
mod options;
mod publish;
mod reconcile;
mod tools;

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::daemon;
use crate::home::Home;

pub fn dispatch(path: &str) -> Result<()> {
    match path.split_once('/') {
        Some(("actions", name)) => act(name),
        Some(("hooks", name)) => hook(name),
        _ => Ok(()),
    }
}

fn hook(name: &str) -> Result<()> {
    match name {
        "stop" | "remove" | "data-storage-detaching" => stop(),
        // The new program, not the one that runs since before.
        "upgrade-charm" => stop().and_then(|()| reconcile::run()),
        "secret-remove" => publish::forget_revision(&variable("JUJU_SECRET_ID"), &variable("JUJU_SECRET_REVISION")),
        "s3-credentials-relation-broken" => {
            publish::forget_relation(&variable("JUJU_RELATION_ID"))?;
            reconcile::run()
        }
        _ => reconcile::run(),
    }
}

/// A failed action still exits 0: otherwise Juju replaces our words by "exit status 1".
fn act(name: &str) -> Result<()> {
    match actions::run(name) {
        Ok(results) => tools::action_set(&results),
        Err(err) => tools::action_fail(&format!("{err:#}")),
    }
}

/// The storage may be gone when we are told to stop: the place of the server is noted beside the charm.
fn stop() -> Result<()> {
    match fs::read_to_string(note()) {
        Ok(home) => daemon::stop(&Home::new(home)),
        Err(_) => Ok(()),
    }
}

/// The home of this unit's server: its storage, once that is attached.
fn home() -> Result<Option<Home>> {
    let Some(id) = tools::storage_ids("data")?.into_iter().next() else { return Ok(None) };
    let location = tools::storage_location(&id)?;
    fs::write(note(), &location).context("noting the place of the storage")?;
    Ok(Some(Home::new(location)))
}

fn note() -> PathBuf {
    PathBuf::from(variable("JUJU_CHARM_DIR")).join(".home")
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
