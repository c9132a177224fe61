//! One reconcile for all hooks: observe, compare with what is asked for, do
//! the next needed thing, set the status.

use super::{engine_server, inputs, peers, repository, start_member, tls, unit_service, wal};
use crate::actions;
use crate::agent::{Agent, TlsFile, UnitFile, take_lock};
use crate::cluster::Layout;
use crate::juju::{Context, Juju, JujuError};
use crate::model::{AgentError, Role};
use crate::policy::status::{Condition, active, blocked, maintenance, unit_status, waiting};
use crate::sys::environment::Vars;
use crate::sys::files;
use crate::sys::process::OsUser;

pub(super) async fn reconcile(vars: &Vars, context: &Context, juju: &Juju) -> Result<(), AgentError> {
    let conditions = match juju.storage("pgdata").await.map_err(asked)? {
        None => vec![waiting("waiting for storage `pgdata`")],
        Some(storage) => match on_storage(vars, context, juju, storage.clone()).await {
            Ok(conditions) => conditions,
            // Nothing can be written down; an error would only hide why.
            Err(error) => vec![wal::disk_is_full(&storage, &error).ok_or(error)?],
        },
    };
    let status = unit_status(&conditions);
    juju.set_status(status.level.word(), &status.message)
        .await
        .map_err(|error| AgentError::fault("setting the status", error))
}

fn asked(error: JujuError) -> AgentError {
    AgentError::fault("asking Juju", error)
}

async fn on_storage(
    vars: &Vars,
    context: &Context,
    juju: &Juju,
    storage: std::path::PathBuf,
) -> Result<Vec<Condition>, AgentError> {
    let layout = Layout::below(&storage);
    let made = |error| AgentError::fault("making the unit's folders", error);
    layout.make_folders(&OsUser(crate::agent::DATABASE_USER.to_owned())).map_err(made)?;
    // Before the unit's file is read: another command may be about to write it.
    let _lock = match take_lock(&layout) {
        Ok(lock) => lock,
        // A person's backup or restore by the command line: it will end.
        Err(busy) => return Ok(vec![maintenance(busy.explain())]),
    };
    let mut file = UnitFile::load(&layout.state())?.unwrap_or_default();
    if file.unit != context.unit.to_string() {
        begin_anew(&layout, &mut file, context)?;
    }
    let is_leader = juju.is_leader().await.map_err(asked)?;
    let relation = peers::gather(juju, context, is_leader, &mut file).await.map_err(asked)?;
    if file.leaving {
        file.save(&layout.state())?;
        return Ok(vec![maintenance("leaving the cluster")]);
    }
    let mut conditions =
        inputs::gather(juju, context, relation.as_ref(), is_leader, &mut file, &layout.state()).await?;
    file.save(&layout.state())?;
    if file.users.is_empty() {
        conditions.push(waiting("waiting for the system users' passwords"));
        return Ok(conditions);
    }
    let path = vars.get("PATH").map(String::as_str).unwrap_or_default();
    let mut agent = Agent::new(path, storage, file)?;
    conditions.extend(act(&mut agent, juju, is_leader, relation.as_ref()).await?);
    agent.save()?;
    if let Some(relation) = relation {
        peers::tell(juju, &relation, &agent).await?;
    }
    Ok(conditions)
}

/// A new unit; or its storage was another unit's: the database stays, the place
/// in the cluster store and the certificate were the other's.
fn begin_anew(layout: &Layout, file: &mut UnitFile, context: &Context) -> Result<(), AgentError> {
    let user = OsUser(crate::agent::DATABASE_USER.to_owned());
    let forgotten = files::remove_folder(&layout.etcd_data())
        .and_then(|()| layout.make_folders(&user))
        .and_then(|()| TlsFile::forget(layout));
    forgotten.map_err(|error| AgentError::fault("beginning with another unit's storage", error))?;
    file.begin_as(context.unit.to_string());
    Ok(())
}

/// In this order: a restore that was broken off, the member, the repository, a
/// backup that was broken off. What is not settled keeps all that follows back:
/// a member started on data that is to be put back would take writes that are lost.
async fn act(
    agent: &mut Agent,
    juju: &Juju,
    is_leader: bool,
    peers: Option<&peers::PeerRelation>,
) -> Result<Vec<Condition>, AgentError> {
    let unsettled = actions::settle_restore(agent).await;
    if !unsettled.is_empty() {
        // What settles it needs the cluster store, and somebody who waits for the others.
        for kept in [start_member::keep_cluster_store(agent, juju, is_leader).await, unit_service::ensure(agent).await]
        {
            if let Err(error) = kept {
                tracing::warn!("{}", error.explain());
            }
        }
        return Ok(unsettled);
    }
    let mut conditions = match tls::prepare(agent, juju, peers).await {
        Ok((conditions, tls::Next::Services)) => conditions,
        Ok((conditions, tls::Next::TellTheOthers)) => return Ok(conditions),
        // A unit that is in goes on as it is.
        Err(error) if agent.file.joined => vec![waiting(format!("TLS: {}", error.explain()))],
        Err(error) => return Ok(vec![waiting(error.explain())]),
    };
    let role = match start_member::start(agent, juju, is_leader).await {
        Ok(role) => role,
        Err(condition) => {
            // First: the rest may follow from it.
            conditions.insert(0, condition);
            conditions.extend(wal::disk_condition(agent));
            tls::told_etcd(agent).await;
            return Ok(conditions);
        }
    };
    conditions.extend(looked_after(agent, juju, role).await);
    Ok(conditions)
}

async fn looked_after(agent: &mut Agent, juju: &Juju, role: Role) -> Vec<Condition> {
    let mut conditions: Vec<_> = agent.held_restore.take().into_iter().collect();
    if let Err(error) = tls::told_services(agent).await {
        conditions.push(waiting(format!("TLS: {}", error.explain())));
    }
    if agent.paused {
        conditions.push(blocked(format!(
            "Patroni is paused: nobody takes over when the primary fails; juju exec --unit {} -- patronictl -c {} resume",
            agent.unit,
            agent.layout().patroni_conf().display()
        )));
    }
    let of_repository = repository::reconcile(agent, juju, role).await;
    for ensured in [engine_server::ensure(agent).await, unit_service::ensure(agent).await] {
        if let Err(error) = ensured {
            conditions.push(waiting(error.explain()));
        }
    }
    if of_repository.iter().all(Condition::is_good) {
        actions::settle_backup(agent).await;
    }
    conditions.extend(of_repository);
    if role == Role::Primary && agent.file.planned_units > 1 {
        conditions.push(active("Primary"));
    }
    conditions
}
