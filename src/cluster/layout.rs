//! Where everything of a unit lies: below its `pgdata` storage, nothing
//! elsewhere. Pure; `make_folders` is the one effect.

use std::path::{Path, PathBuf};

use crate::sys::files;
use crate::sys::process::OsUser;

/// Every unit has an address of its own, so ports need not differ.
pub const PG_PORT: u16 = 5432;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub fn below(storage: impl Into<PathBuf>) -> Self {
        Self { root: storage.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of the data directories; the database user owns it, so that
    /// Patroni may rename inside it.
    pub fn databases(&self) -> PathBuf {
        self.root.join("pg")
    }

    pub fn data(&self) -> PathBuf {
        self.databases().join("data")
    }

    /// Old data that a restore keeps aside, on the same filesystem.
    pub fn aside(&self, restore: &str) -> PathBuf {
        self.databases().join(format!("data.before-{restore}"))
    }

    /// Data that a restore brings up beside the running cluster.
    pub fn beside(&self, restore: &str) -> PathBuf {
        self.databases().join(format!("data.restore-{restore}"))
    }

    pub fn etcd_data(&self) -> PathBuf {
        self.root.join("etcd")
    }

    /// Configuration, readable by the database user: root:postgres 0750.
    pub fn etc(&self) -> PathBuf {
        self.root.join("etc")
    }

    pub fn patroni_conf(&self) -> PathBuf {
        self.etc().join("patroni.yml")
    }

    pub fn pgbackrest_conf(&self) -> PathBuf {
        self.etc().join("pgbackrest.conf")
    }

    pub fn repository_ca(&self) -> PathBuf {
        self.etc().join("repository-ca.pem")
    }

    /// The unit's key with its certificate and what leads to the authority, in
    /// one file: they change together.
    pub fn unit_pem(&self) -> PathBuf {
        self.etc().join("unit.pem")
    }

    /// The authorities whose certificates the unit's services take.
    pub fn trusted(&self) -> PathBuf {
        self.etc().join("trusted.pem")
    }

    /// The same under a name that is this set's own.
    pub fn trusted_as(&self, digest: &str) -> PathBuf {
        self.etc().join(format!("trusted-{digest}.pem"))
    }

    pub fn pgpass(&self) -> PathBuf {
        self.run().join("pgpass")
    }

    /// PostgreSQL's socket.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Logs of the services; root's, so that nobody chooses where root appends.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The engine's own logs.
    pub fn engine_log(&self) -> PathBuf {
        self.log().join("pgbackrest")
    }

    /// Where a restore's isolated server has its access files, log and socket.
    pub fn scratch(&self, restore: &str) -> PathBuf {
        self.etc().join(format!("restore-{restore}"))
    }

    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// The agent's own: journals, what it knows of the unit. root 0700.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    pub fn unit_lock(&self) -> PathBuf {
        self.state().join("agent.lock")
    }

    /// Held by whoever makes a backup; a backup that nobody asked for holds up no hook.
    pub fn backup_lock(&self) -> PathBuf {
        self.state().join("backup.lock")
    }

    pub fn make_folders(&self, user: &OsUser) -> std::io::Result<()> {
        files::make_folder_for_readers(&self.etc(), user)?;
        files::make_folder_for_readers(&self.log(), user)?;
        let database = [self.databases(), self.etcd_data(), self.run(), self.engine_log(), self.lock(), self.spool()];
        for folder in database {
            files::make_folder(&folder, Some(user), 0o700)?;
        }
        files::make_folder(&self.state(), None, 0o700)
    }
}
