//! What the last reconcile learned and did, in a file of root's alone: for the
//! commands of people and timers, which have no hook tools, and to tell what
//! has changed since. It holds secrets: 0600 in a folder 0700.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::EtcdStart;
use crate::model::{AgentError, Peer, TlsStage};
use crate::settings::{BadRepository, S3Settings};
use crate::sys::files::{self, Access};

const NAME: &str = "unit.json";

#[derive(Serialize, Deserialize, Default, Clone, PartialEq)]
#[serde(default)]
pub struct UnitFile {
    pub unit: String,
    pub model: String,
    pub model_uuid: String,
    pub juju_version: String,
    pub address: String,
    /// Juju removes this unit.
    pub leaving: bool,
    pub planned_units: u32,
    /// The unit that begins the cluster: `postgresql/0`; empty until it is named.
    pub founder: String,
    /// Units that Juju knows, with those that are leaving.
    pub known_units: BTreeSet<String>,
    /// What the others of them said last.
    pub peers: BTreeMap<String, Peer>,
    /// Of the data; `None` until there is some.
    pub system_id: Option<u64>,
    /// There is none now, but Juju remembers that there was.
    pub formed_before: bool,
    /// How our services speak to those of the other units.
    pub stage: TlsStage,
    /// The stage that they have been brought to.
    pub reached: TlsStage,
    /// TLS is wanted: an authority is related.
    pub wants_tls: bool,
    /// Authorities of the certificates that we show and will show, PEM.
    pub ca_in_use: String,
    pub ca_pending: String,
    /// Fingerprints of the authorities that our services are to trust, and do.
    pub will_trust: BTreeSet<String>,
    pub trusts: BTreeSet<String>,
    /// Services have to read certificates again.
    pub certificates_changed: bool,
    /// Tells the sets of authorities apart that our services trust.
    pub trust: String,
    pub etcd_start: Option<EtcdStart>,
    /// Our etcd takes part in the cluster store.
    pub joined: bool,
    /// Our services enter etcd by this user.
    pub etcd_user: String,
    /// Since when all units enter it by the same user.
    pub one_etcd_user_since: Option<DateTime<Utc>>,
    /// The user for which the others were ended.
    pub dropped_for: String,
    /// The last good options.
    pub config: Value,
    /// The last good system users, keys `<user>-password`.
    pub users: BTreeMap<String, String>,
    /// Those that the running cluster was given.
    pub applied_users: BTreeMap<String, String>,
    /// The timeline on which that was: a new primary may have lost it.
    pub applied_timeline: u32,
    /// What the related object storage last said.
    pub repository: Option<RepositoryRecord>,
    /// Why the related object storage, if there is one, is no repository.
    pub repository_problem: Option<String>,
    /// Stanza made and checked with exactly these settings.
    pub repository_ready: bool,
    /// How far WAL was when a hook looked last.
    pub wal_seen: Option<(u64, DateTime<Utc>)>,
    /// Since when this replica is on a timeline that the cluster has left.
    pub astray_since: Option<DateTime<Utc>>,
    /// What pgBackRest's server read last.
    pub engine_server_told: String,
    /// WAL goes to a repository: stays true while one is related and sick.
    pub archives: bool,
    /// Version of PostgreSQL that Juju was told.
    pub version: String,
}

/// A relation's data, as it came.
#[derive(Serialize, Deserialize, Default, Clone, PartialEq)]
pub struct RepositoryRecord {
    pub relation: String,
    pub bag: BTreeMap<String, String>,
    pub secret: Option<BTreeMap<String, String>>,
}

impl RepositoryRecord {
    pub fn settings(&self) -> Result<S3Settings, BadRepository> {
        S3Settings::from_relation(&self.bag, self.secret.as_ref(), None)
    }
}

impl UnitFile {
    /// The storage came from another unit, or from this one in a former life:
    /// data and settings stay, the place in a cluster does not.
    pub fn begin_as(&mut self, unit: String) {
        let fresh = Self::default();
        self.unit = unit;
        self.leaving = false;
        self.founder = fresh.founder;
        self.peers = fresh.peers;
        self.known_units = fresh.known_units;
        self.system_id = fresh.system_id;
        self.etcd_start = fresh.etcd_start;
        self.joined = fresh.joined;
        self.stage = fresh.stage;
        self.reached = fresh.reached;
        self.trust = fresh.trust;
    }

    pub fn load(state: &Path) -> Result<Option<Self>, AgentError> {
        let text =
            files::read(&state.join(NAME)).map_err(|error| AgentError::fault("reading the unit's file", error))?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| AgentError::fault("reading the unit's file", error))
    }

    pub fn save(&self, state: &Path) -> Result<(), AgentError> {
        let failed = |error| AgentError::fault("writing the unit's file", error);
        let text = serde_json::to_vec(self).map_err(|error| AgentError::Bug(error.to_string()))?;
        files::write(&state.join(NAME), &text, &Access::Private).map(|_| ()).map_err(failed)
    }
}
