//! What a unit tells its peers through the peer relation: where it is, what it
//! is part of, whom it trusts. Everything here may be read by every unit; no
//! secret is in it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::tls_stage::TlsStage;

/// One unit's word, a JSON document in its unit bag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Peer {
    /// Where its services listen.
    pub address: String,
    /// Its etcd takes part in the cluster store.
    pub joined: bool,
    /// System identifier of its data; `None` before it has any.
    pub system_id: Option<u64>,
    /// How its services speak, or will as soon as they run.
    pub stage: Option<TlsStage>,
    /// It is related to an authority: TLS is wanted.
    pub wants_tls: bool,
    /// The authority of the certificate that its services show, PEM.
    pub ca_in_use: String,
    /// That of the one that they will show next, PEM.
    pub ca_pending: String,
    /// Fingerprints of the authorities that its services trust.
    pub trusts: BTreeSet<String>,
    /// Name of the etcd user that its services have changed over to.
    pub etcd_user: String,
    /// Its storage folder: the engine on other units names files below it.
    pub storage: String,
}

impl Peer {
    /// What a stranger or an older release wrote is no word at all.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_was_written_and_garbage_is_none() {
        let peer = Peer { address: "10.0.0.1".into(), system_id: Some(u64::MAX), ..Peer::default() };
        assert_eq!(Peer::read(&peer.write()), Some(peer));
        assert_eq!(Peer::read("{"), None);
        assert_eq!(Peer::read(r#"{"address":"a","of-a-later-release":1}"#).unwrap().address, "a");
    }
}
