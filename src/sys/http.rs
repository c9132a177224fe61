//! HTTP/1.1 requests with a deadline, plain or TLS, to Patroni, etcd and object
//! stores. It follows no redirect, retries nothing and logs no header.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

pub use hyper::{Method, Request, StatusCode, http::HeaderMap};

use crate::secrets::{ExposeSecret, SecretString};

/// An answer read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("no answer from {host} within {} s", after.as_secs())]
    Deadline { host: String, after: Duration },
    #[error("{host}: {why}")]
    Connect { host: String, why: String },
    #[error("the answer of {host} is larger than {limit} bytes or broke off")]
    Body { host: String, limit: usize },
    #[error("`tls-ca-chain` holds no usable certificate: {why}")]
    BadCa { why: String },
    #[error("the trusted certificates cannot be used: {why}")]
    BadTrust { why: String },
    #[error("the unit's own key and certificate cannot be used: {why}")]
    BadIdentity { why: String },
    #[error("the system has no trusted certificates")]
    NoRoots,
}

/// Largest answer that is read into memory: listings are pages of 1,000 keys.
const LIMIT: usize = 64 << 20;

/// Which certificates a TLS server may be signed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Debian's `/etc/ssl/certs/ca-certificates.crt`.
    System,
    /// These alone, PEM.
    Only(String),
}

/// Who we are to a server that asks: key and certificate with its intermediates, in one PEM text.
#[derive(Debug, Clone)]
pub struct Identity {
    pub pem: SecretString,
}

type Connector = hyper_rustls::HttpsConnector<HttpConnector>;

#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
    deadline: Duration,
}

impl HttpClient {
    /// For `http://` on the own unit: TLS to anybody fails.
    pub fn plain(deadline: Duration) -> Result<Self, HttpError> {
        Self::build(rustls::RootCertStore::empty(), None, deadline)
    }

    /// TLS in which both sides show a certificate: to servers signed by one of the CAs in `trust_pem`, as `identity`. A server
    /// that is called by its address must have that address as an IP name.
    pub fn mutual(trust_pem: &str, identity: &Identity, deadline: Duration) -> Result<Self, HttpError> {
        let mut roots = rustls::RootCertStore::empty();
        add_pem(&mut roots, trust_pem).map_err(|error| match error {
            HttpError::BadCa { why } => HttpError::BadTrust { why },
            other => other,
        })?;
        Self::build(roots, Some(identity), deadline)
    }

    pub fn new(trust: &Trust, deadline: Duration) -> Result<Self, HttpError> {
        let mut roots = rustls::RootCertStore::empty();
        match trust {
            Trust::Only(pem) => add_pem(&mut roots, pem)?,
            Trust::System => add_system(&mut roots)?,
        }
        Self::build(roots, None, deadline)
    }

    fn build(roots: rustls::RootCertStore, identity: Option<&Identity>, deadline: Duration) -> Result<Self, HttpError> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| HttpError::BadCa { why: error.to_string() })?
            .with_root_certificates(roots);
        let tls = match identity {
            None => tls.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.parts()?;
                tls.with_client_auth_cert(chain, key).map_err(|error| bad_identity(&error))?
            }
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(deadline));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), deadline })
    }

    /// The same connections, with another deadline for each exchange.
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Sends one request and reads the whole answer; any status is an answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, HttpError> {
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        tokio::time::timeout(self.deadline, self.exchange(request, &host))
            .await
            .map_err(|_| HttpError::Deadline { host: host.clone(), after: self.deadline })?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, host: &str) -> Result<Answer, HttpError> {
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| HttpError::Connect { host: host.to_owned(), why: deepest(&error) })?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, LIMIT)
            .collect()
            .await
            .map_err(|_| HttpError::Body { host: host.to_owned(), limit: LIMIT })?
            .to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

impl Identity {
    fn parts(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), HttpError> {
        let pem = self.pem.expose_secret().as_bytes();
        let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| bad_identity(&error))?;
        Ok((chain.map_err(|error| bad_identity(&error))?, key))
    }
}

/// rustls' texts name the kind of fault, never the key.
fn bad_identity(error: &dyn std::error::Error) -> HttpError {
    HttpError::BadIdentity { why: error.to_string() }
}

/// hyper's outer texts say "client error (Connect)"; the cause says what to mend.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

fn add_pem(roots: &mut rustls::RootCertStore, pem: &str) -> Result<(), HttpError> {
    let bad = |why: String| HttpError::BadCa { why };
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        found += 1;
    }
    if found == 0 { Err(bad("no PEM certificate in it".to_owned())) } else { Ok(()) }
}

fn add_system(roots: &mut rustls::RootCertStore) -> Result<(), HttpError> {
    let bundle = std::fs::read("/etc/ssl/certs/ca-certificates.crt").map_err(|_| HttpError::NoRoots)?;
    // Distributions ship a few roots that rustls refuses: the others serve.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bundle).flatten());
    if roots.is_empty() { Err(HttpError::NoRoots) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
