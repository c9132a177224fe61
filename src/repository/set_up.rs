//! Makes the related object storage a repository of this cluster: bucket,
//! ownership, stanza, check. Every step may be repeated. Whatever is wrong is
//! told in the store's own words, and tried again by the next hook or action.

use super::archiving::{is_behind, use_archiving};
use super::conf::{Use, drop_candidate, write_conf};
use crate::agent::Agent;
use crate::engine::pgbackrest::Engine;
use crate::model::{AgentError, Role};
use crate::policy::ownership::{self, Ownership};
use crate::settings::S3Settings;
use crate::store::{self, Store, StoreError};

/// What a replica says until the primary has done its part: it heals by itself.
pub const NOT_YET: &str = "the primary has not set the repository up yet";

/// Sets the related repository up, or looks whether it still answers. `say`
/// tells the steps that take long. What went wrong is kept in the unit's file:
/// refusals quote it.
pub async fn ensure(agent: &mut Agent, say: impl AsyncFn(&str)) -> Result<(), AgentError> {
    let outcome = match agent.repository() {
        None => Ok(()),
        Some(Err(error)) => Err(error),
        Some(Ok(settings)) => set_up(agent, &settings, say).await,
    };
    let problem = outcome.as_ref().err().map(AgentError::explain);
    if agent.repository().is_some() && agent.file.repository_problem != problem {
        agent.file.repository_problem = problem;
        agent.save()?;
    }
    outcome
}

async fn set_up(agent: &mut Agent, settings: &S3Settings, say: impl AsyncFn(&str)) -> Result<(), AgentError> {
    let store = Store::open(settings).map_err(|error| AgentError::fault("opening the repository", error))?;
    let role = role(agent).await?;
    if agent.file.repository_ready && still_there(agent, &store, role).await? {
        write_conf(agent, settings, &store, Use::InForce)?;
        return use_archiving(agent, &agent.archiving()).await;
    }
    agent.file.repository_ready = false;
    if role == Role::Replica {
        return follow(agent, settings, &store).await;
    }
    store.ensure_bucket().await.map_err(|error| AgentError::fault("the repository", error))?;
    write_conf(agent, settings, &store, Use::Candidate)?;
    let outcome = make(agent, settings, &store, say).await;
    drop_candidate(agent)?;
    outcome
}

/// The candidate's configuration knows this unit alone: `check` would fail when
/// any other one is away.
async fn make(
    agent: &mut Agent,
    settings: &S3Settings,
    store: &Store,
    say: impl AsyncFn(&str),
) -> Result<(), AgentError> {
    own(agent, store).await?;
    write_conf(agent, settings, store, Use::InForce)?;
    say("initialising stanza").await;
    let engine = Engine { config: Use::Candidate.conf(agent.layout()), ..agent.engine() };
    engine.stanza_create().await.map_err(|error| AgentError::fault("initialising the stanza", error))?;
    agent.file.archives = true;
    agent.save()?;
    use_archiving(agent, &agent.archiving()).await?;
    say("checking stanza").await;
    engine.check().await.map_err(|error| AgentError::fault("checking the stanza", error))?;
    mark(agent, store).await?;
    agent.file.repository_ready = true;
    agent.save()
}

async fn role(agent: &Agent) -> Result<Role, AgentError> {
    let failed = |error| AgentError::fault("asking for the role", error);
    agent.postgres().await.map_err(failed)?.role().await.map_err(failed)
}

/// For a unit that has no database yet: what the engine needs to read our sets.
pub async fn prepare_reading(agent: &Agent) -> Result<(), AgentError> {
    let settings = agent.repository().ok_or_else(|| AgentError::refused(agent.no_repository(), ""))??;
    let store = Store::open(&settings).map_err(|error| AgentError::fault("opening the repository", error))?;
    let cluster = agent.file.peers.values().find_map(|peer| peer.system_id);
    is_ours(agent, &settings, &store, cluster).await?;
    write_conf(agent, &settings, &store, Use::InForce)
}

/// The stanza is there, and of the database with this system identifier.
async fn is_ours(
    agent: &Agent,
    settings: &S3Settings,
    store: &Store,
    system_id: Option<u64>,
) -> Result<(), AgentError> {
    store.look().await.map_err(|error| AgentError::fault("the repository does not answer", error))?;
    write_conf(agent, settings, store, Use::Candidate)?;
    let engine = Engine { config: Use::Candidate.conf(agent.layout()), ..agent.engine() };
    let catalog = engine.catalog().await;
    drop_candidate(agent)?;
    let catalog = catalog.map_err(|error| AgentError::fault("reading the catalog", error))?;
    if catalog.stanza_exists && catalog.system_id == system_id && system_id.is_some() {
        return Ok(());
    }
    Err(AgentError::refused(NOT_YET, "juju status of the primary says what is in its way"))
}

/// The primary makes the stanza; a replica uses it when it is there and ours.
async fn follow(agent: &mut Agent, settings: &S3Settings, store: &Store) -> Result<(), AgentError> {
    is_ours(agent, settings, store, agent.file.system_id).await?;
    write_conf(agent, settings, store, Use::InForce)?;
    agent.file.archives = true;
    agent.save()?;
    use_archiving(agent, &agent.archiving()).await?;
    agent.file.repository_ready = true;
    agent.save()
}

/// A bucket or a stanza that was deleted is made again; anything else that is
/// wrong is for the store to say.
async fn still_there(agent: &Agent, store: &Store, role: Role) -> Result<bool, AgentError> {
    match store.look().await {
        Err(error) if error.refusal().is_some_and(store::Refusal::is_no_such_bucket) => Ok(false),
        Err(error) => Err(AgentError::fault("the repository does not answer", error)),
        // The catalog is asked only when something is wrong: it costs a process.
        Ok(()) if role == Role::Replica || !is_behind(agent).await => Ok(true),
        Ok(()) => Ok(agent.engine().catalog().await.is_ok_and(|catalog| catalog.stanza_exists)),
    }
}

/// The marker of another model is in the way only where the database itself has
/// shown that the repository is ours: a model that was made anew around it.
async fn mark(agent: &Agent, store: &Store) -> Result<(), AgentError> {
    let marked = match store::claim(store, &agent.file.model_uuid).await {
        Err(StoreError::Claimed { .. }) => store::adopt(store, &agent.file.model_uuid).await,
        other => other,
    };
    marked.map_err(|error| AgentError::fault("marking the repository", error))
}

/// Refuses what belongs to another cluster, before anything is written.
async fn own(agent: &Agent, store: &Store) -> Result<(), AgentError> {
    let read = |error| AgentError::fault("looking whose repository it is", error);
    let found = store::read_markers(store).await.map_err(read)?;
    let has_stanza = found.stanzas.iter().any(|stanza| stanza == agent.stanza.as_str());
    let catalog_system_id = if has_stanza {
        let engine = Engine { config: Use::Candidate.conf(agent.layout()), ..agent.engine() };
        let catalog = engine.catalog().await;
        catalog.map_err(|error| AgentError::fault("reading the catalog", error))?.system_id
    } else {
        None
    };
    let ownership = ownership::decide(&ownership::Evidence {
        model_uuid: &agent.file.model_uuid,
        stanza: &agent.stanza,
        system_id: system_id(agent).await,
        marker_uuid: found.model_uuid.as_deref(),
        stanzas: &found.stanzas,
        catalog_system_id,
    });
    match ownership {
        Ownership::Free | Ownership::Ours => Ok(()),
        Ownership::Foreign { why } => Err(AgentError::refused(why, "")),
    }
}

async fn system_id(agent: &Agent) -> Option<u64> {
    let data = crate::cluster::ControlData::read(&agent.runner, &agent.user, &agent.layout().data()).await;
    data.ok().map(|data| data.system_id)
}
