//! How this unit reaches the services of the cluster, its own and the others':
//! addresses, plain or TLS, and by which passwords.

use super::Agent;
use crate::cluster::{Credentials, Etcd, EtcdStart, Patroni, urls};
use crate::model::{AgentError, Peer, TlsStage};
use crate::secrets::SecretString;
use crate::settings::{SystemUsers, raft_tag};
use crate::sys::files;
use crate::sys::http::{HttpClient, Identity};

/// Key of the cluster store's password.
pub const RAFT: &str = "raft-password";

impl Agent {
    /// Enters another stage: what is written and started from now on is of it.
    pub fn enter_stage(&mut self, stage: TlsStage, trust: String) -> Result<(), AgentError> {
        self.file.stage = stage;
        self.file.trust.clone_from(&trust);
        self.member.stage = stage;
        self.member.trust = trust;
        self.save()
    }

    /// A client that shows our certificate where our stage is to speak TLS.
    fn http(&self, deadline: std::time::Duration) -> Result<HttpClient, AgentError> {
        let failed = |error| AgentError::fault("preparing to speak to the cluster", error);
        if !self.member.stage.dials_tls() {
            return HttpClient::plain(deadline).map_err(failed);
        }
        let read = |path: std::path::PathBuf| {
            let text = files::read(&path).map_err(|error| AgentError::fault("reading the unit's certificate", error));
            text.map(Option::unwrap_or_default)
        };
        let identity = Identity { pem: SecretString::from(read(self.layout().unit_pem())?) };
        HttpClient::mutual(&read(self.layout().trusted())?, &identity, deadline).map_err(failed)
    }

    /// Units whose etcd takes part, our own first.
    pub(super) fn etcd_addresses(&self) -> Vec<String> {
        std::iter::once(self.file.address.clone()).chain(self.joined_peers()).collect()
    }

    fn joined_peers(&self) -> Vec<String> {
        let joined = self.file.peers.values().filter(|peer| peer.joined && !peer.address.is_empty());
        joined.map(|peer| peer.address.clone()).collect()
    }

    /// The user by which our services enter etcd.
    pub fn etcd_credentials(&self, users: &SystemUsers) -> Credentials {
        self.member_credentials(users.raft.clone())
    }

    fn member_credentials(&self, raft: SecretString) -> Credentials {
        Credentials::of(&raft_tag(&self.file.model_uuid, &raft), raft)
    }

    /// Who may have been let into etcd before: by the password in force until
    /// now, and as releases did that had one user.
    pub fn former_etcd_credentials(&self) -> Vec<Credentials> {
        let applied = self.file.applied_users.get(RAFT).cloned().map(SecretString::from);
        let root = applied.clone().into_iter().chain(self.users().ok().map(|users| users.raft));
        let member = applied.map(|raft| self.member_credentials(raft));
        member.into_iter().chain(root.map(Credentials::root)).collect()
    }

    /// The raft password in force, as soon as our services enter by it.
    pub fn remember_etcd_password(&mut self) -> Result<(), AgentError> {
        let (old, new) = (self.file.applied_users.get(RAFT), self.file.users.get(RAFT));
        if let Some(new) = new.filter(|_| old != new).cloned() {
            self.file.applied_users.insert(RAFT.to_owned(), new);
            self.save()?;
        }
        Ok(())
    }

    fn etcd_at(&self, addresses: &[String]) -> Result<Etcd, AgentError> {
        let stage = self.member.stage;
        let endpoints = addresses.iter().map(|address| urls::etcd_client(address, stage)).collect();
        let http = self.http(crate::cluster::ETCD_DEADLINE)?;
        Ok(Etcd::new(endpoints, http, self.etcd_credentials(&self.users()?)))
    }

    /// Our own member first, the others when it has no say.
    pub fn etcd(&self) -> Result<Etcd, AgentError> {
        self.etcd_at(&self.etcd_addresses())
    }

    /// The members of the other units alone.
    pub fn etcd_of_others(&self) -> Result<Etcd, AgentError> {
        self.etcd_at(&self.joined_peers())
    }

    /// Is there, or was there, a cluster that this unit is to be part of? Its own
    /// past counts only while there are others: what the last unit has is all there is.
    pub fn is_formed(&self) -> bool {
        let others = self.file.peers.values().any(|peer| peer.joined || peer.system_id.is_some());
        let has_a_past = self.file.system_id.is_some() || self.file.formed_before;
        others || (has_a_past && self.file.known_units.len() > 1)
    }

    /// Tells texts apart without keeping them.
    pub fn digest(&self, texts: &[&str]) -> String {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        texts.iter().for_each(|text| context.update(text.as_bytes()));
        context.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Are other units part of the cluster?
    pub fn has_company(&self) -> bool {
        self.file.peers.values().any(|peer| peer.joined)
    }

    /// What we tell the other units.
    pub fn word(&self) -> Peer {
        Peer {
            address: self.file.address.clone(),
            joined: self.file.joined,
            system_id: self.file.system_id,
            stage: if self.file.joined { Some(self.file.reached) } else { self.file.announced },
            wants_tls: self.file.wants_tls,
            ca_in_use: self.file.ca_in_use.clone(),
            ca_pending: self.file.ca_pending.clone(),
            trusts: self.file.trusts.clone(),
            etcd_user: self.file.etcd_user.clone(),
            storage: self.layout().root().display().to_string(),
        }
    }

    /// How our etcd was first started. Releases before clusters of several
    /// units did not write it down: they knew one way.
    pub fn etcd_start(&self) -> EtcdStart {
        self.file.etcd_start.clone().unwrap_or_else(|| self.member.founding())
    }

    pub fn patroni(&self) -> Result<Patroni, AgentError> {
        let http = self.http(crate::cluster::PATRONI_DEADLINE)?;
        Ok(Patroni::new(urls::rest(&self.file.address, self.member.stage), http, self.users()?.patroni))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::UnitFile;
    use crate::secrets::ExposeSecret;

    fn agent(file: UnitFile) -> Agent {
        let file = UnitFile { unit: "postgresql/0".into(), model: "m".into(), model_uuid: "u".into(), ..file };
        Agent::new("", "/nonexistent/pgdata/0".into(), file).unwrap()
    }

    fn peer(address: &str, joined: bool, system_id: Option<u64>) -> Peer {
        Peer { address: address.into(), joined, system_id, ..Peer::default() }
    }

    #[test]
    fn a_cluster_is_formed_by_others_or_by_a_past_shared_with_others() {
        let none = || None;
        let silent = || Some(peer("10.0.0.2", false, None));
        #[rustfmt::skip]
        let table = [
            // units, our data, Juju remembers, another unit,                         formed
            (1,       None,     false,          none(),                               false),
            (1,       Some(7),  false,          none(),                               false),
            (1,       None,     true,           none(),                               false),
            (2,       None,     false,          none(),                               false),
            (2,       Some(7),  false,          none(),                               true),
            (2,       None,     true,           none(),                               true),
            (2,       None,     false,          silent(),                             false),
            (2,       Some(7),  false,          silent(),                             true),
            (2,       None,     false,          Some(peer("10.0.0.2", true, None)),    true),
            (2,       None,     false,          Some(peer("10.0.0.2", false, Some(7))), true),
        ];
        for (units, system_id, formed_before, other, want) in table {
            let known_units = (0..units).map(|unit| format!("postgresql/{unit}")).collect();
            let peers = other.clone().map(|peer| ("postgresql/1".to_owned(), peer)).into_iter().collect();
            let file = UnitFile { known_units, system_id, formed_before, peers, ..UnitFile::default() };
            assert_eq!(agent(file).is_formed(), want, "{units} {system_id:?} {formed_before} {other:?}");
        }
    }

    #[test]
    fn others_are_told_how_we_are_now_and_no_secret() {
        let users = [(RAFT.to_owned(), "hunter2".to_owned())];
        let file = UnitFile {
            address: "10.0.0.1".into(),
            system_id: Some(7),
            stage: TlsStage::Only,
            wants_tls: true,
            ca_in_use: "a".into(),
            ca_pending: "b".into(),
            will_trust: ["next".to_owned()].into(),
            trusts: ["now".to_owned()].into(),
            etcd_user: "member-1".into(),
            users: users.clone().into(),
            applied_users: users.into(),
            ..UnitFile::default()
        };
        // Before it takes part, the stage that it will start in, once that is settled.
        assert_eq!(agent(file.clone()).word().stage, None);
        let announced = UnitFile { announced: Some(TlsStage::Only), ..file.clone() };
        assert_eq!(agent(announced).word().stage, Some(TlsStage::Only));
        // Later the one that its services have been brought to.
        let word = agent(UnitFile { joined: true, reached: TlsStage::Plain, ..file }).word();
        let want = Peer {
            address: "10.0.0.1".into(),
            joined: true,
            system_id: Some(7),
            stage: Some(TlsStage::Plain),
            wants_tls: true,
            ca_in_use: "a".into(),
            ca_pending: "b".into(),
            trusts: ["now".to_owned()].into(),
            etcd_user: "member-1".into(),
            storage: "/nonexistent/pgdata/0".into(),
        };
        assert_eq!(word, want);
        assert!(!word.write().contains("hunter2"));
    }

    #[test]
    fn our_own_etcd_is_asked_first_and_those_that_take_part_after_it() {
        let peers = [
            ("postgresql/1".to_owned(), peer("10.0.0.2", true, None)),
            ("postgresql/2".to_owned(), peer("10.0.0.3", false, None)),
            ("postgresql/3".to_owned(), peer("", true, None)),
        ];
        let agent = agent(UnitFile { address: "10.0.0.1".into(), peers: peers.into(), ..UnitFile::default() });
        assert_eq!(agent.etcd_addresses(), ["10.0.0.1", "10.0.0.2"]);
        assert!(agent.has_company());
    }

    #[test]
    fn the_former_way_into_etcd_is_the_password_in_force_until_now() {
        let user = |password: &str| [(RAFT.to_owned(), password.to_owned())].into();
        let agent = agent(UnitFile { applied_users: user("old"), users: user("new"), ..UnitFile::default() });
        let former = agent.former_etcd_credentials();
        let passwords: Vec<_> = former.iter().map(|way| way.password.expose_secret()).collect();
        // The new users are not whole: they name nobody.
        assert_eq!(passwords, ["old", "old"]);
        assert!(former[0].user.starts_with("member-") && former[1].user == "root", "{former:?}");
        assert!(!format!("{former:?}").contains("old"));
    }

    #[test]
    fn an_etcd_that_an_older_release_started_was_the_founders() {
        let founded = agent(UnitFile { address: "10.0.0.1".into(), ..UnitFile::default() }).etcd_start();
        assert_eq!(founded.initial_cluster, "postgresql-0=http://10.0.0.1:2380");
        assert!(!founded.existing);
        let joined = EtcdStart { existing: true, ..EtcdStart::default() };
        let file = UnitFile { etcd_start: Some(joined.clone()), ..UnitFile::default() };
        assert_eq!(agent(file).etcd_start(), joined);
    }
}
