//! What Juju says a unit should be: options, system users, repository. Bad
//! input is a condition to show; the last good one stays in force.

use std::collections::BTreeMap;

use serde_json::Value;

use super::peers::PeerRelation;
use super::system_users;
use crate::agent::{RepositoryRecord, UnitFile};
use crate::juju::{Context, Juju, JujuError, SecretAnswer};
use crate::model::AgentError;
use crate::policy::status::{Condition, blocked, waiting};
use crate::settings::{BadRepository, Config, s3_request};

const S3: &str = "s3-parameters";

/// Fills the unit's file from Juju; answers what is wrong with it.
pub(super) async fn gather(
    juju: &Juju,
    context: &Context,
    peers: Option<&PeerRelation>,
    is_leader: bool,
    file: &mut UnitFile,
    scratch: &std::path::Path,
) -> Result<Vec<Condition>, AgentError> {
    let asked = |error: JujuError| AgentError::fault("asking Juju", error);
    file.unit = context.unit.to_string();
    file.model = context.model.clone();
    file.model_uuid = context.model_uuid.clone();
    file.juju_version = context.juju_version.clone();
    file.address = juju.address(super::peers::PEERS).await.map_err(asked)?;
    let mut conditions = Vec::new();
    conditions.extend(options(juju.config().await.map_err(asked)?, file));
    conditions.extend(system_users::gather(juju, peers, is_leader, file, scratch).await?);
    let problem = repository(juju, context, is_leader, file).await.map_err(asked)?;
    file.repository_problem = problem.as_ref().map(|condition| condition.text().to_owned());
    conditions.extend(problem);
    Ok(conditions)
}

fn options(typed: Value, file: &mut UnitFile) -> Option<Condition> {
    match Config::from_json(&typed) {
        Ok(_) => {
            file.config = typed;
            None
        }
        Err(bad) => Some(blocked(format!("{bad}; juju config {} {}=<good value>", application(file), bad.option))),
    }
}

pub(super) fn application(file: &UnitFile) -> &str {
    file.unit.split('/').next().unwrap_or_default()
}

/// Reads the related object storage; the leader writes what it wants to be told.
async fn repository(
    juju: &Juju,
    context: &Context,
    is_leader: bool,
    file: &mut UnitFile,
) -> Result<Option<Condition>, JujuError> {
    let Some(relation) = juju.relation_ids(S3).await?.into_iter().next() else {
        forget_repository(file);
        return Ok(None);
    };
    let Some(app) = juju.relation_app(&relation).await? else {
        forget_repository(file);
        return Ok(None);
    };
    let bag = juju.app_bag(&relation, &app).await?;
    if is_leader {
        let own = juju.app_bag(&relation, &context.unit.application).await?;
        let missing: BTreeMap<_, _> =
            s3_request(&bag, &relation).into_iter().filter(|(key, value)| own.get(key) != Some(value)).collect();
        if !missing.is_empty() {
            juju.set_app_bag(&relation, &missing).await?;
        }
    }
    let (secret, trouble) = related_secret(juju, &app, bag.get("secret-extra")).await?;
    if trouble.is_some() {
        return Ok(trouble);
    }
    let record = RepositoryRecord { relation, bag, secret };
    if record.bag.keys().all(|key| key == "data" || key == "lib-version") {
        return Ok(Some(waiting(format!("{app} has not yet said where backups go"))));
    }
    let condition = record.settings().err().map(|bad| blocked(format!("{app}: {bad}; {}", mend(&app, &bad))));
    if condition.is_none() && file.repository.as_ref() != Some(&record) {
        file.repository = Some(record);
        file.repository_ready = false;
    }
    Ok(condition)
}

/// The integrator's options have the names of the fields.
fn mend(app: &str, bad: &BadRepository) -> String {
    match bad {
        BadRepository::Missing { fields } if fields.iter().any(|field| field.ends_with("-key")) => {
            format!("give {app} its access-key and secret-key")
        }
        BadRepository::Missing { fields } => {
            format!("juju config {app} {}=<value>", fields.first().unwrap_or(&"bucket"))
        }
        BadRepository::Bad { field, .. } => format!("juju config {app} {field}=<value>"),
    }
}

async fn related_secret(
    juju: &Juju,
    app: &str,
    uri: Option<&String>,
) -> Result<(Option<BTreeMap<String, String>>, Option<Condition>), JujuError> {
    let Some(uri) = uri.filter(|uri| !uri.is_empty()) else { return Ok((None, None)) };
    Ok(match juju.secret(uri).await? {
        SecretAnswer::Content(content) => (Some(content), None),
        // The grant may lag behind the relation's data.
        SecretAnswer::Denied | SecretAnswer::NotFound => {
            (None, Some(waiting(format!("{app} has not yet granted the secret with its keys"))))
        }
    })
}

/// The relation is gone by the user's will: WAL has nowhere to go any more.
fn forget_repository(file: &mut UnitFile) {
    file.repository = None;
    file.repository_ready = false;
    file.archives = false;
}
