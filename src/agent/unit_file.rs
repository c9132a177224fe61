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
    /// The stage in which this unit will start, as it tells the others.
    pub announced: Option<TlsStage>,
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
    /// The certificates that services read last.
    pub certificates_told: String,
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
    /// Since when this replica is on a timeline that the cluster has left, and
    /// has replayed nothing: `0/3000028`.
    pub astray_since: Option<(DateTime<Utc>, String)>,
    /// The patroni.yml that Patroni read last.
    pub patroni_told: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn state_with(text: &str) -> tempfile::TempDir {
        let state = tempfile::tempdir().unwrap();
        files::write(&state.path().join(NAME), text.as_bytes(), &Access::Private).unwrap();
        state
    }

    #[test]
    fn a_file_of_release_0_1_0_is_read_and_what_is_new_in_it_is_as_on_a_new_unit() {
        let state = state_with(include_str!("../../tests/fixtures/unit.json/0.1.0.json"));
        let file = UnitFile::load(state.path()).unwrap().unwrap();
        let text = |text: &str| text.to_owned();
        let user = |(user, password): &(&str, &str)| (format!("{user}-password"), text(password));
        let users: BTreeMap<_, _> = [
            ("monitoring", "m"),
            ("operator", "o"),
            ("patroni", "p"),
            ("raft", "r"),
            ("replication", "e"),
            ("rewind", "w"),
        ]
        .iter()
        .map(user)
        .collect();
        let bag = [
            ("access-key", "a"),
            ("bucket", "b"),
            ("endpoint", "https://10.0.0.9:9000"),
            ("path", "pg"),
            ("secret-key", "s"),
        ];
        let bag = bag.map(|(key, value)| (text(key), text(value))).into();
        let want = UnitFile {
            unit: text("postgresql/0"),
            model: text("prod"),
            model_uuid: text("5a7ba1d6-6cf9-4d8c-8ee4-14e3c3c1f7bd"),
            juju_version: text("3.6.9"),
            address: text("10.0.0.1"),
            planned_units: 1,
            founder: text("postgresql/0"),
            config: serde_json::json!({"archive-timeout": 60, "compression": "zst"}),
            users: users.clone(),
            applied_users: users,
            repository: Some(RepositoryRecord { relation: text("s3-parameters:7"), bag, secret: None }),
            repository_ready: true,
            archives: true,
            version: text("15.14"),
            ..UnitFile::default()
        };
        assert!(file == want);
        assert!(file.repository.unwrap().settings().is_ok());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let state = tempfile::tempdir().unwrap();
        assert!(UnitFile::load(state.path()).unwrap().is_none());
        let file = UnitFile {
            peers: [("postgresql/1".to_owned(), Peer { system_id: Some(u64::MAX), ..Peer::default() })].into(),
            stage: TlsStage::Only,
            etcd_start: Some(EtcdStart { existing: true, ..EtcdStart::default() }),
            wal_seen: Some((u64::MAX, DateTime::UNIX_EPOCH)),
            ..UnitFile::default()
        };
        file.save(state.path()).unwrap();
        assert!(UnitFile::load(state.path()).unwrap().unwrap() == file);
    }

    #[test]
    fn a_storage_that_comes_to_another_unit_keeps_data_and_settings_and_no_place_in_a_cluster() {
        let users: BTreeMap<_, _> = [("raft-password".to_owned(), "r".to_owned())].into();
        let kept = UnitFile {
            model: "prod".into(),
            address: "10.0.0.1".into(),
            users: users.clone(),
            applied_users: users,
            repository: Some(RepositoryRecord::default()),
            repository_ready: true,
            archives: true,
            version: "15.14".into(),
            ..UnitFile::default()
        };
        let mut file = UnitFile {
            unit: "postgresql/0".into(),
            leaving: true,
            founder: "postgresql/0".into(),
            known_units: ["postgresql/0".to_owned()].into(),
            peers: [("postgresql/1".to_owned(), Peer::default())].into(),
            system_id: Some(7),
            stage: TlsStage::Only,
            reached: TlsStage::Only,
            trust: "t".into(),
            etcd_start: Some(EtcdStart::default()),
            joined: true,
            ..kept.clone()
        };
        file.begin_as("postgresql/3".into());
        assert!(file == UnitFile { unit: "postgresql/3".into(), ..kept });
    }
}
