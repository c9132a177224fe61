//! Where the system users' passwords come from: the user's secret, or one that
//! the leader makes. Unreadable or bad: the last good ones stay in force.

use std::collections::BTreeMap;
use std::path::Path;

use super::inputs::application;
use super::peers::PeerRelation;
use crate::agent::UnitFile;
use crate::juju::{Juju, JujuError, SecretAnswer};
use crate::model::AgentError;
use crate::policy::status::{Condition, blocked, waiting};
use crate::settings::{Config, SecretUri, SystemUsers};
use crate::sys::environment;

const LABEL: &str = "system-users";
/// Key of the peer relation's application bag.
const PEER_KEY: &str = "system-users-secret";

pub(super) async fn gather(
    juju: &Juju,
    peers: Option<&PeerRelation>,
    is_leader: bool,
    file: &mut UnitFile,
    scratch: &Path,
) -> Result<Option<Condition>, AgentError> {
    let config = Config::from_json(&file.config).ok();
    match config.and_then(|config| config.system_users) {
        Some(uri) => from_users_secret(juju, peers, is_leader, file, scratch, &uri).await,
        None => from_own_secret(juju, peers, is_leader, file, scratch).await,
    }
}

fn asked(error: JujuError) -> AgentError {
    AgentError::fault("asking Juju for the system users", error)
}

async fn from_users_secret(
    juju: &Juju,
    peers: Option<&PeerRelation>,
    is_leader: bool,
    file: &mut UnitFile,
    scratch: &Path,
    uri: &SecretUri,
) -> Result<Option<Condition>, AgentError> {
    let app = application(file).to_owned();
    Ok(match juju.secret(&uri.to_read()).await.map_err(asked)? {
        SecretAnswer::Denied => {
            Some(blocked(format!("secret of `system-users` is not granted; juju grant-secret {} {app}", uri.id())))
        }
        SecretAnswer::NotFound => Some(blocked(format!(
            "secret {} of `system-users` does not exist; juju config {app} system-users=<secret URI>",
            uri.id()
        ))),
        SecretAnswer::Content(content) => {
            // What it leaves out must be the same on all units: no unit makes its own.
            let rest = match SystemUsers::from_content(&content, None) {
                Ok(_) => None,
                Err(_) => match own_secret(juju, peers, is_leader, file, scratch).await? {
                    Err(condition) => return Ok(Some(condition)),
                    Ok(own) => own.or_else(|| SystemUsers::from_content(&file.users, None).ok()),
                },
            };
            match SystemUsers::from_content(&content, rest.as_ref()) {
                Ok(users) => {
                    file.users = users.to_content();
                    None
                }
                Err(bad) => Some(blocked(format!("{bad}; {}", bad.command(uri)))),
            }
        }
    })
}

fn generate() -> Option<SystemUsers> {
    // Without random bytes there is no password: checked before it is used.
    let mut failed = false;
    let users = SystemUsers::generate(&mut |bytes| failed |= environment::random(bytes).is_err());
    (!failed).then_some(users)
}

async fn from_own_secret(
    juju: &Juju,
    peers: Option<&PeerRelation>,
    is_leader: bool,
    file: &mut UnitFile,
    scratch: &Path,
) -> Result<Option<Condition>, AgentError> {
    Ok(match own_secret(juju, peers, is_leader, file, scratch).await? {
        Ok(Some(users)) => {
            file.users = users.to_content();
            None
        }
        Ok(None) => None,
        Err(condition) => Some(condition),
    })
}

/// The application's own passwords, which the leader makes; `None` while the
/// secret cannot be read.
async fn own_secret(
    juju: &Juju,
    peers: Option<&PeerRelation>,
    is_leader: bool,
    file: &mut UnitFile,
    scratch: &Path,
) -> Result<Result<Option<SystemUsers>, Condition>, AgentError> {
    let Some(peers) = peers else { return Ok(Err(waiting("waiting for the peer relation"))) };
    if let Some(uri) = peers.application.get(PEER_KEY) {
        return Ok(Ok(match juju.secret(uri).await.map_err(asked)? {
            SecretAnswer::Content(content) => SystemUsers::from_content(&content, None).ok(),
            SecretAnswer::Denied | SecretAnswer::NotFound => None,
        }));
    }
    if !is_leader {
        return Ok(Err(waiting("waiting for the leader to make the system users' passwords")));
    }
    make_own_secret(juju, file, scratch, &peers.id).await.map(|users| Ok(Some(users)))
}

/// The secret is kept by Juju only if this hook ends well, so the passwords go
/// to the unit's file first: a second try uses the same ones.
async fn make_own_secret(
    juju: &Juju,
    file: &mut UnitFile,
    scratch: &Path,
    peers: &str,
) -> Result<SystemUsers, AgentError> {
    let users = SystemUsers::from_content(&file.users, None).ok().or_else(generate);
    let users =
        users.ok_or_else(|| AgentError::fault("making passwords", "the kernel gave no random bytes".to_owned()))?;
    file.users = users.to_content();
    file.save(scratch)?;
    let made = |error: JujuError| AgentError::fault("keeping the system users' passwords in a secret", error);
    let about = "passwords of the system users: operator, monitoring, replication, rewind";
    let uri = juju.add_secret(LABEL, about, &file.users, scratch).await.map_err(made)?;
    juju.set_app_bag(peers, &BTreeMap::from([(PEER_KEY.to_owned(), uri)])).await.map_err(made)?;
    Ok(users)
}
