//! Builds the adapters from the context: the one place that knows all rooms.

mod backup_claim;
mod due_backup;
mod reach;
mod restore_order;
mod tls_file;
mod turn;
mod unit_file;

use std::path::{Path, PathBuf};

use crate::cluster::{Archiving, Layout, Member, PatroniConf, Postgres, SqlError};
use crate::engine::pgbackrest::Engine;
use crate::model::{AgentError, Stanza, UnitName};
use crate::settings::{Config, S3Settings, SystemUsers};
use crate::store::Store;
use crate::sys::lock::FileLock;
use crate::sys::process::{OsUser, Runner};
use crate::sys::services::Services;

pub use backup_claim::{BackupClaim, BackupNote};
pub use due_backup::DueBackup;
pub use restore_order::{Held as HeldClaim, Listener, PATIENCE as STORE_PATIENCE, RestoreKeys, Told};
pub use tls_file::{Held, Request, TlsFile};
pub use turn::Turn;
pub use unit_file::{RepositoryRecord, UnitFile};

/// The OS user of the database; Debian's packages make it.
pub const DATABASE_USER: &str = "postgres";

/// The adapters of one unit, and what the last reconcile learned.
pub struct Agent {
    pub runner: Runner,
    pub user: OsUser,
    pub member: Member,
    pub unit: UnitName,
    pub stanza: Stanza,
    pub file: UnitFile,
    /// This unit makes the data of the cluster, which has none yet.
    pub begins: bool,
    /// Somebody told Patroni to do nothing by itself.
    pub paused: bool,
    /// What the status says of a restore that waits for a person.
    pub held_restore: Option<crate::policy::status::Condition>,
    /// The command by which a replica that has no data yet gets it from the repository.
    pub replica_from_repository: Option<String>,
}

impl Agent {
    /// `path` is the PATH we were started with; PostgreSQL's own programs come first.
    pub fn new(path: &str, storage: PathBuf, file: UnitFile) -> Result<Self, AgentError> {
        let layout = Layout::below(storage);
        let bin_dir = Member::bin_dir(&layout.data());
        let runner = Runner::new(search_path(path, bin_dir.as_deref()));
        let user = OsUser(DATABASE_USER.to_owned());
        let unit: UnitName =
            file.unit.parse().map_err(|error| AgentError::fault("reading what unit this is", error))?;
        let stanza = Stanza::of(&file.model, &unit.application)
            .map_err(|error| AgentError::refused(error.to_string(), "rename the model or the application"))?;
        let prefix = format!("pg-backup-agent-{}", unit.member());
        let services = Services::on_this_machine(runner.clone(), layout.state(), prefix);
        let member = Member {
            layout,
            name: unit.member(),
            address: file.address.clone(),
            stage: file.stage,
            trust: file.trust.clone(),
            user: user.clone(),
            runner: runner.clone(),
            services,
        };
        Ok(Self {
            runner,
            user,
            member,
            unit,
            stanza,
            file,
            begins: false,
            paused: false,
            held_restore: None,
            replica_from_repository: None,
        })
    }

    pub fn layout(&self) -> &Layout {
        &self.member.layout
    }

    pub fn save(&self) -> Result<(), AgentError> {
        self.file.save(&self.layout().state())
    }

    pub fn config(&self) -> Result<Config, AgentError> {
        Config::from_json(&self.file.config).map_err(|error| AgentError::refused(error.to_string(), ""))
    }

    /// The system users' passwords in force; none before the first reconcile.
    pub fn users(&self) -> Result<SystemUsers, AgentError> {
        SystemUsers::from_content(&self.file.users, None)
            .map_err(|error| AgentError::refused(error.to_string(), "The next hook sets them up: juju status"))
    }

    /// Settings of the repository that is related, if any.
    pub fn repository(&self) -> Option<Result<S3Settings, AgentError>> {
        let record = self.file.repository.as_ref()?;
        Some(record.settings().map_err(|error| AgentError::refused(error.to_string(), "")))
    }

    pub fn store(&self) -> Result<Store, AgentError> {
        let relate = format!("Relate an object storage: juju integrate {} <s3 integrator>", self.unit.application);
        let settings = self.repository().ok_or_else(|| AgentError::refused(self.no_repository(), relate))??;
        Store::open(&settings).map_err(|error| AgentError::fault("opening the repository", error))
    }

    /// Why there is no repository.
    pub fn no_repository(&self) -> String {
        let missing = "Relation with s3-integrator charm missing, cannot create/restore backup";
        self.file.repository_problem.clone().unwrap_or_else(|| missing.to_owned())
    }

    pub fn engine(&self) -> Engine {
        Engine {
            runner: self.runner.clone(),
            config: self.layout().pgbackrest_conf(),
            stanza: self.stanza.clone(),
            user: self.user.clone(),
            lock_dir: self.layout().lock(),
            work_dir: self.layout().databases(),
        }
    }

    pub async fn postgres(&self) -> Result<Postgres, SqlError> {
        Postgres::connect(&self.layout().run(), "postgres").await
    }

    /// What Patroni is to have read.
    pub fn patroni_conf_digest(&self) -> String {
        let text = crate::sys::files::read(&self.layout().patroni_conf()).ok().flatten();
        self.digest(&[&text.unwrap_or_default()])
    }

    /// Does PostgreSQL listen on the unit's address? Where it cannot be asked, yes.
    pub async fn postgres_listens(&self) -> bool {
        let Ok(session) = self.postgres().await else { return true };
        session.listen_addresses().await.is_ok_and(|addresses| addresses.contains(&self.file.address))
    }

    pub fn has_data(&self) -> bool {
        crate::sys::files::exists(&self.layout().data().join("PG_VERSION"))
    }

    /// What archiving should be now, a restore aside.
    pub fn archiving(&self) -> Archiving {
        if self.file.archives { Archiving::Push { stanza: self.stanza.to_string() } } else { Archiving::Discard }
    }

    /// Writes patroni.yml; answers whether it changed.
    pub fn write_patroni_conf(&self, archiving: &Archiving) -> Result<bool, AgentError> {
        let users = self.users()?;
        let bin_dir = Member::bin_dir(&self.layout().data()).map(|dir| dir.display().to_string()).unwrap_or_default();
        let conf = PatroniConf {
            layout: self.layout(),
            scope: &self.unit.application,
            member: &self.member.name,
            address: &self.file.address,
            etcd: &self.etcd_addresses(),
            etcd_user: &self.etcd_credentials(&users).user,
            stage: self.member.stage,
            trust: &self.member.trust,
            bin_dir: &bin_dir,
            archiving,
            may_begin: self.begins || self.has_data(),
            replica_from_repository: self.replica_from_repository.as_deref(),
            archive_timeout: self.config()?.archive_timeout.as_secs() as u32,
            operator: &users.operator,
            replication: &users.replication,
            rewind: &users.rewind,
            patroni: &users.patroni,
            raft: &users.raft,
        };
        let text = conf.render().map_err(|error| AgentError::fault("rendering patroni.yml", error))?;
        let access = crate::sys::files::Access::ReadableBy(self.user.clone());
        crate::sys::files::write(&self.layout().patroni_conf(), text.as_bytes(), &access)
            .map_err(|error| AgentError::fault("writing patroni.yml", error))
    }
}

/// PostgreSQL's own folder first, then where we were told to look.
fn search_path(path: &str, bin_dir: Option<&Path>) -> String {
    let rest = if path.is_empty() { "/usr/sbin:/usr/bin:/sbin:/bin" } else { path };
    bin_dir.map_or_else(|| rest.to_owned(), |dir| format!("{}:{rest}", dir.display()))
}

/// One process of the agent acts on a unit at a time; take it before the unit's
/// file is read. The kernel lets go of it when we die.
pub fn take_lock(layout: &Layout) -> Result<FileLock, AgentError> {
    let held =
        FileLock::try_take(&layout.unit_lock()).map_err(|error| AgentError::fault("taking the unit's lock", error))?;
    held.ok_or_else(|| {
        AgentError::refused(
            "another command of the agent is at work on this unit",
            "Wait for it to end: juju operations, or list-backups shows a backup's progress",
        )
    })
}

/// `None`: a backup is being made on this unit. Whoever holds it may put right what a killed one left.
pub fn take_backup_lock(layout: &Layout) -> Result<Option<FileLock>, AgentError> {
    FileLock::try_take(&layout.backup_lock()).map_err(|error| AgentError::fault("taking the lock of backups", error))
}
