//! Why the store did not do it, in its own words, and whether the same request
//! may work in a moment. How often it is tried: pace.rs.

use std::time::Duration;

use super::Refusal;
use crate::settings::{Endpoint, shortened_to};
use crate::sys::http::HttpError;

/// Texts name the bucket or the endpoint, never a key or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store answered, and said no.
    #[error("bucket {bucket}: {refusal}")]
    Refused { bucket: String, refusal: Refusal },
    /// Nothing that could answer was reached.
    #[error("{endpoint}: {why}")]
    Unreachable { endpoint: String, why: String, transient: bool },
    #[error("{endpoint}: no answer within {} s", after.as_secs())]
    Silent { endpoint: String, after: Duration },
    /// Something answered that is no S3 store, or one we do not understand.
    #[error("bucket {bucket}: not the answer of an S3 store: {why}")]
    Garbled { bucket: String, why: String },
    /// The marker object in the repository names another model.
    #[error("bucket {bucket}: the repository belongs to the model {owner}")]
    Claimed { bucket: String, owner: String },
    /// The certificates to trust cannot be used.
    #[error("{why}")]
    Trust { why: String },
}

impl StoreError {
    /// May the same request work in a moment?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { refusal, .. } => refusal.is_transient(),
            Self::Unreachable { transient, .. } => *transient,
            Self::Silent { .. } => true,
            Self::Garbled { .. } | Self::Claimed { .. } | Self::Trust { .. } => false,
        }
    }

    /// The store's refusal, when that is what it is.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    pub(super) fn of_http(endpoint: &Endpoint, error: HttpError) -> Self {
        let endpoint = endpoint.to_string();
        match error {
            HttpError::Deadline { after, .. } => Self::Silent { endpoint, after },
            HttpError::Connect { why, .. } => {
                let (why, transient) = cause(&why);
                Self::Unreachable { endpoint, why, transient }
            }
            error @ HttpError::Body { .. } => Self::Unreachable { endpoint, why: error.to_string(), transient: true },
            error @ (HttpError::BadCa { .. }
            | HttpError::NoRoots
            | HttpError::BadTrust { .. }
            | HttpError::BadIdentity { .. }) => Self::Trust { why: error.to_string() },
        }
    }
}

/// What the operating system, the resolver and rustls say when no connection
/// comes about -> words for a status line, and whether it may heal by itself.
/// `sys::http` hands on text only; a text that is not known here is shown as it is.
fn cause(why: &str) -> (String, bool) {
    const CERTIFICATE: &str = "invalid peer certificate: ";
    if let Some(what) = why.strip_prefix(CERTIFICATE) {
        return (format!("certificate not trusted ({})", shortened_to(200, what)), false);
    }
    #[rustfmt::skip]
    let table = [
        ("Connection refused",                           "connection refused",                      true),
        ("Connection reset",                             "connection reset",                        true),
        ("Broken pipe",                                  "connection reset",                        true),
        ("connection closed before message completed",   "connection closed before an answer",      true),
        ("Network is unreachable",                       "network unreachable",                     true),
        ("No route to host",                             "no route to host",                        true),
        ("failed to lookup address information",         "host name not found",                     true),
        ("received corrupt message of type",             "does not speak TLS",                      false),
        ("tls handshake eof",                            "connection closed in the TLS handshake",  true),
        ("received fatal alert",                         "TLS refused",                             false),
    ];
    match table.iter().find(|(said, _, _)| why.contains(said)) {
        Some((_, words, transient)) => ((*words).to_owned(), *transient),
        None => (shortened_to(200, why), true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_us_from_the_store_is_said_in_plain_words() {
        let endpoint = Endpoint { https: true, host: "s3.example.com".to_owned(), port: Some(9000) };
        #[rustfmt::skip]
        let table = [
            ("Connection refused (os error 111)",              "https://s3.example.com:9000: connection refused",                       true),
            ("Connection reset by peer (os error 104)",        "https://s3.example.com:9000: connection reset",                         true),
            ("failed to lookup address information: Name or service not known", "https://s3.example.com:9000: host name not found",     true),
            ("invalid peer certificate: UnknownIssuer",        "https://s3.example.com:9000: certificate not trusted (UnknownIssuer)",  false),
            ("received corrupt message of type InvalidContentType", "https://s3.example.com:9000: does not speak TLS",                  false),
            ("something\nnew",                                 "https://s3.example.com:9000: something\\nnew",                          true),
        ];
        for (why, want, transient) in table {
            let error = HttpError::Connect { host: "h".to_owned(), why: why.to_owned() };
            let error = StoreError::of_http(&endpoint, error);
            assert_eq!((error.to_string().as_str(), error.is_transient()), (want, transient));
        }
        let silent = HttpError::Deadline { host: "h".to_owned(), after: Duration::from_secs(10) };
        let silent = StoreError::of_http(&endpoint, silent);
        assert_eq!(silent.to_string(), "https://s3.example.com:9000: no answer within 10 s");
        assert!(silent.is_transient());
    }
}
