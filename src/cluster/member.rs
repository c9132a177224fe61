//! One member's programs: etcd and Patroni, how they are started, what belongs
//! to them in etcd. Patroni itself starts and stops PostgreSQL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::etcd::{Etcd, EtcdError, EtcdMember};
use super::layout::Layout;
use super::patroni::Patroni;
use super::postgres::Postgres;
use super::urls;
use crate::model::{Role, TlsStage};
use crate::sys::files;
use crate::sys::process::{Invocation, OsUser, Runner};
use crate::sys::services::{Children, Service, ServiceError, Services};

const ETCD: &str = "etcd";
const PATRONI: &str = "patroni";
const POLL: Duration = Duration::from_millis(100);

/// Debian and Ubuntu keep each major version's programs here.
const VERSIONS: &str = "/usr/lib/postgresql";

pub struct Member {
    pub layout: Layout,
    pub name: String,
    pub address: String,
    pub stage: TlsStage,
    /// Tells sets of trusted authorities apart: etcd reads them at its start only.
    pub trust: String,
    pub user: OsUser,
    pub runner: Runner,
    pub services: Services,
}

/// How this unit's etcd was first started; etcd ignores it later, and it stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdStart {
    /// `name=peer-url,...`
    pub initial_cluster: String,
    pub peer_url: String,
    /// It joined a cluster store that was there.
    pub existing: bool,
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

    /// The first start of a cluster store of one.
    pub fn founding(&self) -> EtcdStart {
        let peer_url = urls::etcd_peer(&self.address, self.stage);
        EtcdStart { initial_cluster: format!("{}={peer_url}", self.name), peer_url, existing: false }
    }

    /// The first start in a cluster store that knows us already.
    pub fn joining(&self, members: &[EtcdMember]) -> EtcdStart {
        let peer_url = urls::etcd_peer(&self.address, self.stage);
        // A member that was never started has no name: it is us, joiners come one by one.
        let name = |member: &EtcdMember| if member.name.is_empty() { self.name.clone() } else { member.name.clone() };
        let entries = members.iter().flat_map(|member| {
            let name = name(member);
            member.peer_urls.iter().map(move |url| format!("{name}={url}"))
        });
        EtcdStart { initial_cluster: entries.collect::<Vec<_>>().join(","), peer_url, existing: true }
    }

    pub fn etcd_has_data(&self) -> bool {
        files::exists(&self.layout.etcd_data().join("member"))
    }

    /// For a member that was removed, or lost what it had.
    pub fn forget_etcd_data(&self) -> std::io::Result<()> {
        files::remove_folder(&self.layout.etcd_data())?;
        files::make_folder(&self.layout.etcd_data(), Some(&self.user), 0o700)
    }

    /// Flags beginning with `initial-` count at the first start only.
    fn etcd(&self, start: &EtcdStart, quorum: Quorum) -> Service {
        let data = self.layout.etcd_data().display().to_string();
        let (pem, trusted) =
            (self.layout.unit_pem().display().to_string(), self.layout.trusted().display().to_string());
        let clients = urls::etcd_client_listeners(&self.address, self.stage);
        let peers = urls::etcd_peer_listeners(&self.address, self.stage);
        let advertised = urls::etcd_client(&self.address, self.stage);
        #[rustfmt::skip]
        let mut flags = vec![
            ("--name", self.name.as_str()),
            ("--data-dir", &data),
            ("--listen-client-urls", &clients),
            ("--advertise-client-urls", &advertised),
            ("--listen-peer-urls", &peers),
            ("--initial-advertise-peer-urls", &start.peer_url),
            ("--initial-cluster", &start.initial_cluster),
            ("--initial-cluster-state", if start.existing { "existing" } else { "new" }),
            ("--auto-compaction-retention", "1"),
            ("--logger", "zap"),
            ("--log-level", "warn"),
        ];
        let mut args: Vec<String> = Vec::new();
        if self.stage.accepts_tls() {
            #[rustfmt::skip]
            flags.extend([
                ("--cert-file", pem.as_str()), ("--key-file", &pem), ("--trusted-ca-file", &trusted),
                ("--peer-cert-file", &pem), ("--peer-key-file", &pem), ("--peer-trusted-ca-file", &trusted),
            ]);
            // Clients must show a certificate, too: a trusted CA file asks for one. The flag
            // --client-cert-auth would make the JSON gateway refuse every certificate with a name
            // in it (etcd 3.4, embed/serve.go: "CommonName of client sending a request against gateway").
            args.push("--peer-client-cert-auth".to_owned());
        }
        if quorum == Quorum::LostForGood {
            args.push("--force-new-cluster".to_owned());
        }
        args.extend(flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()]));
        // It reads the authorities at its start: others are another service.
        let invocation = Invocation::new("etcd").args(args).env("TRUST", &self.trust);
        self.service(ETCD, invocation, Children::EndWithIt)
    }

    fn patroni(&self) -> Service {
        let conf = self.layout.patroni_conf().display().to_string();
        // How it speaks to etcd is settled at its start: another stage is another service.
        let invocation = Invocation::new("patroni").args([conf]).env("STAGE", etcd_protocol(self.stage));
        self.service(PATRONI, invocation, Children::OutliveIt)
    }

    fn service(&self, name: &'static str, invocation: Invocation, children: Children) -> Service {
        let mut invocation = invocation
            .as_user(&self.user)
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.layout.run().display().to_string());
        invocation.cwd = Some(self.layout.databases());
        Service { name, invocation, log: self.layout.log().join(format!("{name}.log")), children }
    }

    pub async fn start_etcd(&self, start: &EtcdStart) -> Result<(), ServiceError> {
        self.services.start(&self.etcd(start, Quorum::Needed)).await
    }

    pub async fn etcd_runs(&self) -> bool {
        self.services.is_running(ETCD).await
    }

    /// Does it listen where, and trust whom, it should by now?
    pub async fn etcd_runs_as(&self, start: &EtcdStart) -> bool {
        self.services.runs_as(&self.etcd(start, Quorum::Needed)).await
    }

    pub async fn restart_etcd(&self, start: &EtcdStart) -> Result<(), ServiceError> {
        self.stop_etcd().await?;
        self.start_etcd(start).await
    }

    pub async fn stop_etcd(&self) -> Result<(), ServiceError> {
        self.services.stop(ETCD, Duration::from_secs(20)).await
    }

    /// A cluster store of one, made of this unit's data: the others of it are
    /// gone for good. Started so once: a later start would drop members again.
    pub async fn start_etcd_alone(&self, etcd: &Etcd, start: &EtcdStart) -> Result<bool, ServiceError> {
        self.stop_etcd().await?;
        self.services.start(&self.etcd(start, Quorum::LostForGood)).await?;
        let ready = self.etcd_ready(etcd, Duration::from_secs(30)).await;
        self.restart_etcd(start).await?;
        Ok(ready)
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

    /// Does it speak to etcd as it should by now?
    pub async fn patroni_runs_as_wanted(&self) -> bool {
        self.services.runs_as(&self.patroni()).await
    }

    /// A new Patroni takes over PostgreSQL, which goes on meanwhile, as after a
    /// crash of the old one.
    pub async fn replace_patroni(&self) -> Result<(), ServiceError> {
        self.services.replace(&self.patroni()).await
    }

    /// Patroni reads its file again; it does so at its own pace.
    pub async fn reload_patroni(&self) -> Result<(), ServiceError> {
        self.services.reload(PATRONI).await
    }

    /// Ends Patroni, which shuts PostgreSQL down cleanly.
    pub async fn stop_patroni(&self) -> Result<(), ServiceError> {
        self.services.stop(PATRONI, Duration::from_secs(180)).await
    }

    /// Ends Patroni alone: PostgreSQL goes on as it is, and nobody promotes it.
    pub async fn end_patroni_alone(&self) -> Result<(), ServiceError> {
        self.services.kill(PATRONI).await
    }

    pub async fn stop_all(&self) -> Result<(), ServiceError> {
        self.stop_patroni().await?;
        self.stop_etcd().await?;
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

/// Some members of the cluster store may be away; then it needs most of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quorum {
    Needed,
    LostForGood,
}

fn etcd_protocol(stage: TlsStage) -> &'static str {
    match stage {
        TlsStage::Plain => "plain",
        // It knows the certificates, and takes members that speak TLS already.
        TlsStage::Accept | TlsStage::Dial => "either",
        TlsStage::Only => "tls",
    }
}

fn bin_dir(version: u32) -> PathBuf {
    Path::new(VERSIONS).join(version.to_string()).join("bin")
}
