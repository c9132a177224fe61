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
    let asked = |error: JujuError| AgentError::fault("asking Juju for the system users", error);
    let config = Config::from_json(&file.config).ok();
    match config.and_then(|config| config.system_users) {
        Some(uri) => from_users_secret(juju, file, &uri).await.map_err(asked),
        None => from_own_secret(juju, peers, is_leader, file, scratch).await,
    }
}

async fn from_users_secret(juju: &Juju, file: &mut UnitFile, uri: &SecretUri) -> Result<Option<Condition>, JujuError> {
    let app = application(file).to_owned();
    Ok(match juju.secret(&uri.to_read()).await? {
        SecretAnswer::Denied => {
            Some(blocked(format!("secret of `system-users` is not granted; juju grant-secret {} {app}", uri.id())))
        }
        SecretAnswer::NotFound => Some(blocked(format!(
            "secret {} of `system-users` does not exist; juju config {app} system-users=<secret URI>",
            uri.id()
        ))),
        SecretAnswer::Content(content) => {
            let generated = SystemUsers::from_content(&file.users, None).ok().or_else(generate);
            match SystemUsers::from_content(&content, generated.as_ref()) {
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
    let asked = |error: JujuError| AgentError::fault("asking Juju for the system users", error);
    let Some(peers) = peers else { return Ok(Some(waiting("waiting for the peer relation"))) };
    if let Some(uri) = peers.application.get(PEER_KEY) {
        if let SecretAnswer::Content(content) = juju.secret(uri).await.map_err(asked)?
            && SystemUsers::from_content(&content, None).is_ok()
        {
            file.users = content;
        }
        return Ok(None);
    }
    if !is_leader {
        return Ok(Some(waiting("waiting for the leader to make the system users' passwords")));
    }
    make_own_secret(juju, file, scratch, &peers.id).await.map(|()| None)
}

/// The secret is kept by Juju only if this hook ends well, so the passwords go
/// to the unit's file first: a second try uses the same ones.
async fn make_own_secret(juju: &Juju, file: &mut UnitFile, scratch: &Path, peers: &str) -> Result<(), AgentError> {
    let users = SystemUsers::from_content(&file.users, None).ok().or_else(generate);
    let users =
        users.ok_or_else(|| AgentError::fault("making passwords", "the kernel gave no random bytes".to_owned()))?;
    file.users = users.to_content();
    file.save(scratch)?;
    let made = |error: JujuError| AgentError::fault("keeping the system users' passwords in a secret", error);
    let about = "passwords of the system users: operator, monitoring, replication, rewind";
    let uri = juju.add_secret(LABEL, about, &file.users, scratch).await.map_err(made)?;
    juju.set_app_bag(peers, &BTreeMap::from([(PEER_KEY.to_owned(), uri)])).await.map_err(made)
}
