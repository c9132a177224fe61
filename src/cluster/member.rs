//! One member's programs: etcd and Patroni, how they are started, what belongs
//! to them in etcd. Patroni itself starts and stops PostgreSQL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::etcd::{Etcd, EtcdError};
use super::layout::Layout;
use super::patroni::Patroni;
use super::postgres::Postgres;
use crate::model::Role;
use crate::sys::files;
use crate::sys::process::{Invocation, OsUser, Runner};
use crate::sys::services::{Service, ServiceError, Services};

const ETCD: &str = "etcd";
const PATRONI: &str = "patroni";
const POLL: Duration = Duration::from_millis(100);

/// Debian and Ubuntu keep each major version's programs here.
const VERSIONS: &str = "/usr/lib/postgresql";

pub struct Member {
    pub layout: Layout,
    pub name: String,
    pub address: String,
    pub user: OsUser,
    pub runner: Runner,
    pub services: Services,
}

impl Member {
    /// Programs of the PostgreSQL that the data belongs to; without data, of the
    /// newest on this machine. Another version beside it must change nothing.
    pub fn bin_dir(data: &Path) -> Option<PathBuf> {
        let version = files::read(&data.join("PG_VERSION")).ok().flatten();
        let of_data = version.and_then(|text| text.trim().parse().ok()).map(bin_dir);
        of_data.or_else(Self::newest_bin_dir)
    }

    /// Programs of the newest PostgreSQL on this machine.
    pub fn newest_bin_dir() -> Option<PathBuf> {
        let mut versions: Vec<u32> =
            files::names_in(Path::new(VERSIONS)).ok()?.iter().filter_map(|v| v.parse().ok()).collect();
        versions.sort_unstable();
        let has_server = |version: &u32| files::exists(&bin_dir(*version).join("initdb"));
        versions.into_iter().rfind(has_server).map(bin_dir)
    }

    /// Flags beginning with `initial-` count at the first start only.
    fn etcd(&self) -> Service {
        let (client, peer) = (format!("http://{}:2379", self.address), format!("http://{}:2380", self.address));
        let initial = format!("{}={peer}", self.name);
        let data = self.layout.etcd_data().display().to_string();
        #[rustfmt::skip]
        let flags = [
            ("--name", self.name.as_str()),
            ("--data-dir", &data),
            ("--listen-client-urls", &client),
            ("--advertise-client-urls", &client),
            ("--listen-peer-urls", &peer),
            ("--initial-advertise-peer-urls", &peer),
            ("--initial-cluster", &initial),
            ("--initial-cluster-token", &self.name),
            ("--initial-cluster-state", "new"),
            ("--auto-compaction-retention", "1"),
            ("--logger", "zap"),
            ("--log-level", "warn"),
        ];
        let args = flags.into_iter().flat_map(|(flag, value)| [flag, value]);
        self.service(ETCD, Invocation::new("etcd").args(args))
    }

    fn patroni(&self) -> Service {
        self.service(PATRONI, Invocation::new("patroni").args([self.layout.patroni_conf().display().to_string()]))
    }

    fn service(&self, name: &'static str, invocation: Invocation) -> Service {
        let mut invocation = invocation
            .as_user(&self.user)
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.layout.run().display().to_string());
        invocation.cwd = Some(self.layout.databases());
        Service { name, invocation, log: self.layout.log().join(format!("{name}.log")) }
    }

    pub async fn start_etcd(&self) -> Result<(), ServiceError> {
        self.services.start(&self.etcd()).await
    }

    /// Waits until etcd answers with a quorum, or `patience` is over.
    pub async fn etcd_ready(&self, etcd: &Etcd, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !etcd.healthy().await {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }

    pub async fn start_patroni(&self) -> Result<(), ServiceError> {
        self.services.start(&self.patroni()).await
    }

    pub async fn patroni_runs(&self) -> bool {
        self.services.is_running(PATRONI).await
    }

    /// Patroni reads its file again; it does so at its own pace.
    pub async fn reload_patroni(&self) -> Result<(), ServiceError> {
        self.services.reload(PATRONI).await
    }

    /// Ends Patroni, which shuts PostgreSQL down cleanly.
    pub async fn stop_patroni(&self) -> Result<(), ServiceError> {
        self.services.stop(PATRONI, Duration::from_secs(180)).await
    }

    pub async fn stop_all(&self) -> Result<(), ServiceError> {
        self.stop_patroni().await?;
        self.services.stop(ETCD, Duration::from_secs(20)).await?;
        self.services.remove(PATRONI).await?;
        self.services.remove(ETCD).await
    }

    /// Waits until this member is the primary and takes writes. Patroni says so
    /// as soon as it holds the lock, PostgreSQL when its promotion is done.
    pub async fn becomes_primary(&self, patroni: &Patroni, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !(patroni.is_primary().await && self.takes_writes().await) {
            if Instant::now() >= deadline || !self.patroni_runs().await {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }

    async fn takes_writes(&self) -> bool {
        match Postgres::connect(&self.layout.run(), "postgres").await {
            Ok(session) => matches!(session.role().await, Ok(Role::Primary)),
            Err(_) => false,
        }
    }

    /// Removes what etcd knows of the running cluster, so that the data on disk
    /// decides. The dynamic configuration stays.
    pub async fn forget_cluster(&self, etcd: &Etcd, scope: &str) -> Result<(), EtcdError> {
        for key in ["initialize", "leader", "status", "history", "failsafe", "sync", "failover"] {
            etcd.delete(&format!("/service/{scope}/{key}")).await?;
        }
        etcd.delete_below(&format!("/service/{scope}/members/")).await
    }
}

fn bin_dir(version: u32) -> PathBuf {
    Path::new(VERSIONS).join(version.to_string()).join("bin")
}
