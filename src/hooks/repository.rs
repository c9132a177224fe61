//! Makes the related object storage a repository of this cluster, and keeps
//! looking whether it still is one. Whatever is wrong is told in the store's
//! own words and tried again at the next hook.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::Agent;
use crate::cluster::Archiving;
use crate::engine::pgbackrest::conf::{self, Conf};
use crate::juju::Juju;
use crate::model::{AgentError, error_chain};
use crate::policy::ownership::{self, Ownership};
use crate::policy::status::{Condition, blocked, waiting};
use crate::settings::S3Settings;
use crate::store::{self, Store};
use crate::sys::environment;
use crate::sys::files::{self, Access};

/// Segments that may wait before a status speaks of it; one or two always do.
const BACKLOG: i64 = 8;

/// How long Patroni may take to hand a setting on to PostgreSQL.
const TAKE_OVER: Duration = Duration::from_secs(60);
const TELL_AGAIN: Duration = Duration::from_secs(3);

pub(super) async fn reconcile(agent: &mut Agent, juju: &Juju) -> Vec<Condition> {
    let Some(settings) = agent.repository() else { return stop_archiving(agent).await };
    let outcome = match settings {
        Ok(settings) => set_up(agent, juju, &settings).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => archiving_health(agent).await,
        Err(AgentError::Refused { message, hint }) => vec![blocked(AgentError::Refused { message, hint }.explain())],
        Err(error) => {
            tracing::warn!("setting up the repository: {}", error_chain(&error));
            vec![blocked(error_chain(&error))]
        }
    }
}

/// No repository is related: WAL that nobody keeps must not fill the disk.
async fn stop_archiving(agent: &mut Agent) -> Vec<Condition> {
    match use_archiving(agent, &Archiving::Discard).await {
        Ok(()) => Vec::new(),
        Err(error) => vec![waiting(error_chain(&error))],
    }
}

async fn set_up(agent: &mut Agent, juju: &Juju, settings: &S3Settings) -> Result<(), AgentError> {
    let store = Store::open(settings).map_err(|error| AgentError::fault("opening the repository", error))?;
    if agent.file.repository_ready {
        write_conf(agent, settings, &store)?;
        return probe(&store).await;
    }
    let say = async |text: &str| {
        // Only a courtesy: the outcome is told at the end of the hook.
        let _ = juju.set_status("maintenance", text).await;
    };
    store.ensure_bucket().await.map_err(|error| AgentError::fault("the repository", error))?;
    write_conf(agent, settings, &store)?;
    own(agent, &store).await?;
    say("initialising stanza").await;
    let engine = agent.engine();
    engine.stanza_create().await.map_err(|error| AgentError::fault("initialising the stanza", error))?;
    agent.file.archives = true;
    agent.save()?;
    use_archiving(agent, &agent.archiving()).await?;
    say("checking stanza").await;
    engine.check().await.map_err(|error| AgentError::fault("checking the stanza", error))?;
    store::claim(&store, &agent.file.model_uuid)
        .await
        .map_err(|error| AgentError::fault("marking the repository", error))?;
    agent.file.repository_ready = true;
    agent.save()
}

/// Does it still answer to our keys?
async fn probe(store: &Store) -> Result<(), AgentError> {
    store.look().await.map_err(|error| AgentError::fault("the repository does not answer", error))
}

/// Refuses what belongs to another cluster, before anything is written.
async fn own(agent: &Agent, store: &Store) -> Result<(), AgentError> {
    let read = |error| AgentError::fault("looking whose repository it is", error);
    let found = store::read_markers(store).await.map_err(read)?;
    let has_stanza = found.stanzas.iter().any(|stanza| stanza == agent.stanza.as_str());
    let catalog_system_id = if has_stanza {
        let catalog = agent.engine().catalog().await;
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

/// pgbackrest.conf and the store's certificate authority.
fn write_conf(agent: &Agent, settings: &S3Settings, store: &Store) -> Result<(), AgentError> {
    let failed = |error: std::io::Error| AgentError::fault("writing pgbackrest.conf", error);
    let access = Access::ReadableBy(agent.user.clone());
    let ca_file = agent.layout().repository_ca();
    match &settings.ca_chain {
        Some(pem) => drop(files::write(&ca_file, pem.as_bytes(), &access).map_err(failed)?),
        None => files::remove_file(&ca_file).map_err(failed)?,
    }
    let conf = engine_conf(agent, settings, store)?;
    let text = conf::render(&conf).map_err(|error| AgentError::refused(error.to_string(), ""))?;
    files::write(&agent.layout().pgbackrest_conf(), text.as_bytes(), &access).map(|_| ()).map_err(failed)
}

fn engine_conf(agent: &Agent, settings: &S3Settings, store: &Store) -> Result<Conf, AgentError> {
    let config = agent.config()?;
    let layout = agent.layout();
    Ok(Conf {
        repository: conf::RepositoryConf {
            storage: conf::S3Repository {
                bucket: settings.bucket.clone(),
                endpoint_host: settings.endpoint.host.clone(),
                endpoint_port: settings.endpoint.port,
                region: store.region(),
                // pgBackRest wants a path; the root of the bucket is one.
                path: if settings.path.is_empty() { "/".to_owned() } else { settings.path.clone() },
                uri_style: match settings.uri_style {
                    crate::settings::UriStyle::Host => conf::UriStyle::Host,
                    crate::settings::UriStyle::Path => conf::UriStyle::Path,
                },
                key: settings.access_key.clone(),
                key_secret: settings.secret_key.clone(),
                token: settings.session_token.clone(),
                ca_file: settings.ca_chain.as_ref().map(|_| layout.repository_ca()),
            },
            bundle: config.bundle,
            retention_days: settings.retention_days,
        },
        compression: compression(&config),
        process_max: config.process_max.resolve(environment::cores() as usize),
        archive_async: config.archive_async,
        paths: conf::Paths { log: layout.log(), lock: layout.lock(), spool: layout.spool() },
        stanza: conf::StanzaConf {
            name: agent.stanza.clone(),
            pg_path: layout.data(),
            pg_port: crate::cluster::PG_PORT,
            pg_socket_dir: layout.run(),
            pg_user: "operator".to_owned(),
        },
    })
}

fn compression(config: &crate::settings::Config) -> conf::Compression {
    use crate::settings::Compression as Option;
    let kind = match config.compression {
        Option::Zst => conf::CompressionType::Zst,
        Option::Lz4 => conf::CompressionType::Lz4,
        Option::Gz => conf::CompressionType::Gz,
        Option::Bz2 => conf::CompressionType::Bz2,
        Option::None => conf::CompressionType::None,
    };
    conf::Compression { kind, level: config.level() }
}

/// Makes PostgreSQL archive so. Patroni reads its file at its own pace, and
/// loses a signal that comes while it makes a new cluster: it is told until
/// PostgreSQL has it.
async fn use_archiving(agent: &Agent, archiving: &Archiving) -> Result<(), AgentError> {
    agent.write_patroni_conf(archiving)?;
    let want = archiving.command(agent.layout());
    let deadline = Instant::now() + TAKE_OVER;
    while Instant::now() < deadline {
        if archives_by(agent, &want).await {
            return Ok(());
        }
        agent.member.reload_patroni().await.map_err(|error| AgentError::fault("reloading Patroni", error))?;
        let told = Instant::now();
        while told.elapsed() < TELL_AGAIN && !archives_by(agent, &want).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Err(AgentError::fault(
        "changing where WAL goes",
        format!("PostgreSQL has not taken it over within {} s", TAKE_OVER.as_secs()),
    ))
}

async fn archives_by(agent: &Agent, command: &str) -> bool {
    match agent.postgres().await {
        Ok(session) => session.archive_command().await.is_ok_and(|have| have == command),
        Err(_) => false,
    }
}

/// Is WAL reaching the repository?
async fn archiving_health(agent: &Agent) -> Vec<Condition> {
    let Ok(session) = agent.postgres().await else { return Vec::new() };
    match session.archiver().await {
        Ok(archiver) if archiver.failing && archiver.waiting >= BACKLOG => {
            vec![blocked(format!(
                "WAL does not reach the repository: {} segments wait, the first is {}; see {}",
                archiver.waiting,
                archiver.last_failed_wal.unwrap_or_default(),
                agent.layout().log().display()
            ))]
        }
        _ => Vec::new(),
    }
}
