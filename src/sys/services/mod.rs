//! Long-running programs of the unit: under systemd where it is PID 1,
//! otherwise as daemons with a pid file. The caller says what, this says how.

mod pidfile;
mod systemd;

use std::path::PathBuf;
use std::time::Duration;

use super::process::{Invocation, Runner};

pub use pidfile::{Pidfile, is_alive};
pub use systemd::Systemd;

/// A program that is to run until it is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Short name on the unit: `etcd`, `patroni`.
    pub name: &'static str,
    /// What to run; its `user`, `env` and `args` count, its deadline does not.
    pub invocation: Invocation,
    /// Takes standard output and error.
    pub log: PathBuf,
    /// What it starts outlives it: PostgreSQL goes on when Patroni is replaced.
    pub children: Children,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Children {
    EndWithIt,
    OutliveIt,
}

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("starting service {name}")]
    Start { name: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("stopping service {name}")]
    Stop { name: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("service {name} ended right after its start; its log {log} ends with: {last}")]
    Died { name: &'static str, log: String, last: String },
}

/// Two real implementations exist; which one is the machine's matter.
#[derive(Debug, Clone)]
pub enum Services {
    Systemd(Systemd),
    Pidfile(Pidfile),
}

impl Services {
    /// `run` holds pid files; `prefix` makes systemd names unique on the machine.
    pub fn on_this_machine(runner: Runner, run: PathBuf, prefix: String) -> Self {
        if std::path::Path::new("/run/systemd/system").is_dir() && runner.is_root() {
            Self::Systemd(Systemd::new(runner, prefix))
        } else {
            Self::Pidfile(Pidfile::new(runner, run))
        }
    }

    pub async fn is_running(&self, name: &'static str) -> bool {
        match self {
            Self::Systemd(systemd) => systemd.is_running(name).await,
            Self::Pidfile(pidfile) => pidfile.is_running(name),
        }
    }

    /// Does it run, and as it is asked for now: program, arguments, environment?
    pub async fn runs_as(&self, service: &Service) -> bool {
        match self {
            Self::Systemd(systemd) => systemd.is_running(service.name).await && systemd.is_defined_as(service).await,
            Self::Pidfile(pidfile) => pidfile.is_running(service.name) && pidfile.is_defined_as(service),
        }
    }

    /// Ends its main process by SIGKILL and starts it again; what that process
    /// had started in sessions of their own goes on.
    pub async fn replace(&self, service: &Service) -> Result<(), ServiceError> {
        match self {
            Self::Systemd(systemd) => systemd.replace(service).await,
            Self::Pidfile(pidfile) => pidfile.replace(service).await,
        }
    }

    /// Starts it unless it runs.
    pub async fn start(&self, service: &Service) -> Result<(), ServiceError> {
        match self {
            Self::Systemd(systemd) => systemd.start(service).await,
            Self::Pidfile(pidfile) => pidfile.start(service).await,
        }
    }

    /// Ends it, by force after `patience`. Fine when it does not run.
    pub async fn stop(&self, name: &'static str, patience: Duration) -> Result<(), ServiceError> {
        match self {
            Self::Systemd(systemd) => systemd.stop(name, patience).await,
            Self::Pidfile(pidfile) => pidfile.stop(name, patience).await,
        }
    }

    /// Ends its main process by SIGKILL, for good; what that process had started
    /// in sessions of their own goes on.
    pub async fn kill(&self, name: &'static str) -> Result<(), ServiceError> {
        match self {
            Self::Systemd(systemd) => systemd.kill(name).await,
            Self::Pidfile(pidfile) => pidfile.kill(name).await,
        }
    }

    /// SIGHUP: read the configuration again.
    pub async fn reload(&self, name: &'static str) -> Result<(), ServiceError> {
        match self {
            Self::Systemd(systemd) => systemd.reload(name).await,
            Self::Pidfile(pidfile) => pidfile.reload(name),
        }
    }

    /// Forgets it for good (unit files); it must be stopped.
    pub async fn remove(&self, name: &'static str) -> Result<(), ServiceError> {
        match self {
            Self::Systemd(systemd) => systemd.remove(name).await,
            Self::Pidfile(pidfile) => pidfile.remove(name),
        }
    }
}
