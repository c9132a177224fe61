//! The unit's keys, its request and its certificates, in a file of root's alone.
//! A key that is made is here before anything that names it leaves the unit.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Agent;
use crate::certificate::{Bundle, Certificate, Issued, Subject, UnitKey};
use crate::cluster::Layout;
use crate::model::AgentError;
use crate::policy::tls::{InUse, Validity};
use crate::secrets::{ExposeSecret, SecretString};
use crate::sys::files::{self, Access};

const NAME: &str = "tls.json";

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsFile {
    pub request: Option<Request>,
    /// What the services show.
    pub in_use: Option<Held>,
    /// What they show as soon as the other units trust its authority.
    pub pending: Option<Held>,
    /// The authority took back what is in use.
    pub revoked: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Request {
    key: String,
    pub csr: String,
    pub published_at: DateTime<Utc>,
}

/// A key with its certificate.
#[derive(Clone, Serialize, Deserialize)]
pub struct Held {
    key: String,
    /// Leaf and intermediates, PEM.
    chain: String,
    /// The authority, PEM.
    ca: String,
    /// Of the unit's own making.
    bridge: bool,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("published_at", &self.published_at).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("bridge", &self.bridge).finish_non_exhaustive()
    }
}

impl Request {
    pub fn new(key: &UnitKey, csr: String, published_at: DateTime<Utc>) -> Self {
        Self { key: key.pem().expose_secret().to_owned(), csr, published_at }
    }

    pub fn key(&self) -> Result<UnitKey, AgentError> {
        let key = UnitKey::from_pem(&SecretString::from(self.key.clone()));
        key.map_err(|error| AgentError::fault("reading the unit's key", error))
    }

    /// What came for it, with its key.
    pub fn held(&self, issued: &Issued, bridge: bool) -> Held {
        Held { key: self.key.clone(), chain: issued.chain_pem(), ca: issued.ca.to_pem(), bridge }
    }
}

impl Held {
    pub fn certificate(&self) -> Option<Certificate> {
        Certificate::parse(&self.chain).ok()
    }

    pub fn authority(&self) -> Bundle {
        Bundle::from_pem(&self.ca).unwrap_or_default()
    }

    /// As policy looks at it.
    pub fn facts(&self, subject: &Subject) -> Option<InUse> {
        let certificate = self.certificate()?;
        let validity = Validity { not_before: certificate.not_before, not_after: certificate.not_after };
        // The engine on the other units lets in by the common name.
        let covers_subject = certificate.covers(subject) && certificate.common_name == subject.common_name();
        Some(InUse { validity, covers_subject, is_bridge: self.bridge })
    }

    /// Key, leaf and intermediates in one text.
    fn pem(&self) -> String {
        format!("{}\n{}", self.key.trim(), self.chain)
    }
}

impl TlsFile {
    pub fn load(agent: &Agent) -> Result<Self, AgentError> {
        let failed = |error: std::io::Error| AgentError::fault("reading the unit's certificates", error);
        let text = files::read(&agent.layout().state().join(NAME)).map_err(failed)?;
        let read = text.map(|text| serde_json::from_str(&text)).transpose();
        read.map(Option::unwrap_or_default).map_err(|error| {
            // Never its text: it holds keys.
            AgentError::fault("reading the unit's certificates", format!("line {}", error.line()))
        })
    }

    /// Removes all of it, and what the services read.
    pub fn forget(layout: &Layout) -> std::io::Result<()> {
        files::remove_file(&layout.state().join(NAME))?;
        files::remove_file(&layout.unit_pem())?;
        files::remove_file(&layout.trusted())?;
        Self::forget_trusted_but(layout, "")
    }

    /// Sets of authorities under names of their own, all but the present one.
    pub fn forget_trusted_but(layout: &Layout, present: &str) -> std::io::Result<()> {
        let kept = layout.trusted_as(present);
        for name in files::names_in(&layout.etc())? {
            let path = layout.etc().join(&name);
            if name.starts_with("trusted-") && path != kept {
                files::remove_file(&path)?;
            }
        }
        Ok(())
    }

    pub fn save(&self, agent: &Agent) -> Result<(), AgentError> {
        let text = serde_json::to_vec(self).map_err(|error| AgentError::Bug(error.to_string()))?;
        let written = files::write(&agent.layout().state().join(NAME), &text, &Access::Private);
        written.map(drop).map_err(|error| AgentError::fault("writing the unit's certificates", error))
    }

    pub fn ca_in_use(&self) -> Bundle {
        self.in_use.as_ref().map(Held::authority).unwrap_or_default()
    }

    pub fn ca_pending(&self) -> Bundle {
        self.pending.as_ref().map(Held::authority).unwrap_or_default()
    }

    /// Puts what is in use, and who is trusted, where the services read it.
    pub fn install(&self, agent: &Agent, trusted: &Bundle) -> Result<(), AgentError> {
        let failed = |error| AgentError::fault("writing the unit's certificate", error);
        let access = Access::ReadableBy(agent.user.clone());
        let layout = agent.layout();
        let Some(held) = &self.in_use else { return Ok(()) };
        let trusted = trusted.to_pem();
        // Patroni's REST API takes other authorities over by another name only.
        let named = layout.trusted_as(&agent.digest(&[&trusted]));
        files::write(&named, trusted.as_bytes(), &access).map_err(failed)?;
        files::write(&layout.trusted(), trusted.as_bytes(), &access).map_err(failed)?;
        files::write(&layout.unit_pem(), held.pem().as_bytes(), &access).map(drop).map_err(failed)
    }
}
