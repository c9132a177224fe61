//! pgbackrest.conf of this unit, from options and relation data.

use std::path::PathBuf;

use crate::agent::Agent;
use crate::certificate::Subject;
use crate::cluster::Layout;
use crate::engine::pgbackrest::Engine;
use crate::engine::pgbackrest::conf::{self, Conf};
use crate::model::{AgentError, Peer, TlsStage, UnitName};
use crate::settings::S3Settings;
use crate::store::Store;
use crate::sys::environment;
use crate::sys::files::{self, Access};

/// What a configuration is for. Archiving must not go to a repository that may
/// turn out to be another cluster's; and a restore beside the running cluster
/// must not share its spool, whose acknowledgements it would remove (archiving
/// then waits a minute for each that is lost).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    InForce,
    Candidate,
    Beside,
}

impl Use {
    pub fn conf(self, layout: &Layout) -> PathBuf {
        match self {
            Self::InForce => layout.pgbackrest_conf(),
            Self::Candidate => layout.etc().join("pgbackrest.candidate.conf"),
            Self::Beside => layout.etc().join("pgbackrest.restore.conf"),
        }
    }

    fn paths(self, layout: &Layout) -> conf::Paths {
        let (lock, spool) = match self {
            Self::Beside => (layout.lock().join("restore"), layout.spool().join("restore")),
            Self::InForce | Self::Candidate => (layout.lock(), layout.spool()),
        };
        conf::Paths { log: layout.engine_log(), lock, spool }
    }

    fn ca(self, layout: &Layout) -> PathBuf {
        match self {
            Self::InForce | Self::Beside => layout.repository_ca(),
            Self::Candidate => layout.etc().join("repository-ca.candidate.pem"),
        }
    }
}

/// The engine for a restore beside the running cluster.
pub fn engine_beside(agent: &Agent) -> Result<Engine, AgentError> {
    let settings = agent.repository().ok_or_else(|| AgentError::refused(agent.no_repository(), ""))??;
    write_conf(agent, &settings, &agent.store()?, Use::Beside)?;
    let (config, lock_dir) = (Use::Beside.conf(agent.layout()), Use::Beside.paths(agent.layout()).lock);
    Ok(Engine { config, lock_dir, ..agent.engine() })
}

/// Workers of a restore whose agent was killed would write into the copy that is
/// being removed.
pub async fn end_leftovers_beside(agent: &Agent) {
    let config = Use::Beside.conf(agent.layout());
    Engine { config, ..agent.engine() }.end_leftovers().await;
}

/// After a restore: its keys need not lie about twice.
pub fn drop_engine_beside(agent: &Agent) -> Result<(), AgentError> {
    let removed = files::remove_file(&Use::Beside.conf(agent.layout()));
    removed.map_err(|error| AgentError::fault("removing the restore's configuration", error))
}

/// The candidate was looked at: its keys need not lie about twice.
pub(super) fn drop_candidate(agent: &Agent) -> Result<(), AgentError> {
    let (conf, ca) = (Use::Candidate.conf(agent.layout()), Use::Candidate.ca(agent.layout()));
    let removed = files::remove_file(&conf).and_then(|()| files::remove_file(&ca));
    removed.map_err(|error| AgentError::fault("removing the candidate's configuration", error))
}

/// pgbackrest.conf and the store's certificate authority.
pub(super) fn write_conf(agent: &Agent, settings: &S3Settings, store: &Store, to: Use) -> Result<(), AgentError> {
    let failed = |error: std::io::Error| AgentError::fault("writing pgbackrest.conf", error);
    let access = Access::ReadableBy(agent.user.clone());
    let ca_file = to.ca(agent.layout());
    match &settings.ca_chain {
        Some(pem) => drop(files::write(&ca_file, pem.as_bytes(), &access).map_err(failed)?),
        None => files::remove_file(&ca_file).map_err(failed)?,
    }
    let conf = engine_conf(agent, settings, store, to)?;
    let text = conf::render(&conf).map_err(|error| AgentError::refused(error.to_string(), ""))?;
    files::write(&to.conf(agent.layout()), text.as_bytes(), &access).map(|_| ()).map_err(failed)
}

fn engine_conf(agent: &Agent, settings: &S3Settings, store: &Store, to: Use) -> Result<Conf, AgentError> {
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
                ca_file: settings.ca_chain.as_ref().map(|_| to.ca(layout)),
            },
            bundle: config.bundle,
            retention_days: settings.retention_days,
        },
        compression: compression(&config),
        process_max: config.process_max.resolve(environment::cores() as usize),
        archive_async: config.archive_async,
        paths: to.paths(layout),
        stanza: conf::StanzaConf {
            name: agent.stanza.clone(),
            pg_path: layout.data(),
            pg_port: crate::cluster::PG_PORT,
            pg_socket_dir: layout.run(),
            pg_user: "operator".to_owned(),
        },
        tls: if to == Use::InForce { other_units(agent) } else { None },
    })
}

/// The other units, once they can be reached by TLS; before, the engine knows
/// this unit alone.
fn other_units(agent: &Agent) -> Option<conf::TlsConf> {
    let reached = |peer: &&Peer| peer.stage.is_some_and(TlsStage::accepts_tls) && !peer.storage.is_empty();
    let peers = agent.file.peers.iter().filter(|(_, peer)| reached(peer));
    let peers = peers.filter_map(|(unit, peer)| {
        let layout = Layout::below(&peer.storage);
        Some(conf::PeerConf {
            member: Subject::named(unit.parse::<UnitName>().ok()?.member()).common_name(),
            address: peer.address.clone(),
            config: layout.pgbackrest_conf(),
            pg_path: layout.data(),
            pg_port: crate::cluster::PG_PORT,
            pg_socket_dir: layout.run(),
            pg_user: "operator".to_owned(),
        })
    });
    agent.member.stage.accepts_tls().then(|| conf::TlsConf {
        address: agent.file.address.clone(),
        port: conf::TlsConf::PORT,
        own_file: agent.layout().unit_pem(),
        ca_file: agent.layout().trusted(),
        peers: peers.collect(),
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
