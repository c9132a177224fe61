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
            stage: Some(if self.file.joined { self.file.reached } else { self.file.stage }),
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
