//! etcd through its JSON gateway: one call, tried on one member after the other
//! (etcd documentation, "gRPC gateway"). What is asked is for the files beside.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::access::Credentials;
use crate::secrets::ExposeSecret;
use crate::sys::http::{HttpClient, HttpError, Method, Request};

/// Of one call to one member. etcd itself gives up after 5 s without a leader.
pub(crate) const DEADLINE: Duration = Duration::from_secs(6);

/// An election is over sooner than this; a second one may follow it.
const ELECTION: Duration = Duration::from_secs(3);
const AGAIN: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    #[error("etcd")]
    Http(#[from] HttpError),
    #[error("etcd: {message}")]
    Refused { message: String },
    #[error("etcd answered something that is not JSON")]
    Shape,
    #[error("no member of etcd is known")]
    Nobody,
}

impl EtcdError {
    pub fn says(&self, words: &str) -> bool {
        matches!(self, Self::Refused { message } if message.contains(words))
    }

    /// Another member may know better: this one has no leader, or no say yet.
    fn is_of_this_member_alone(&self) -> bool {
        const WORDS: [&str; 4] = ["not supported for learner", "no leader", "request timed out", "deadline exceeded"];
        matches!(self, Self::Http(_)) || self.is_an_election() || WORDS.iter().any(|words| self.says(words))
    }

    /// The members have just chosen another leader: ask again. Seen on slow disks.
    fn is_an_election(&self) -> bool {
        self.says("leader changed")
    }
}

/// A client that knows some members, in the order in which they are asked.
#[derive(Debug, Clone)]
pub struct Etcd {
    endpoints: Vec<String>,
    http: HttpClient,
    pub(super) credentials: Credentials,
    /// Costs etcd a tenth of a second: asked for once.
    token: Arc<Mutex<Option<String>>>,
    /// How long members that do not answer are asked again.
    patience: Duration,
}

impl Etcd {
    /// `endpoints` are base URLs: `https://10.0.0.1:2379`.
    pub fn new(endpoints: Vec<String>, http: HttpClient, credentials: Credentials) -> Self {
        Self { endpoints, http, credentials, token: Arc::default(), patience: Duration::ZERO }
    }

    /// For work that must not end because a member restarts. What is written may be written
    /// twice, as the answer to the first time can be lost.
    pub fn patient(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        Self { credentials, token: Arc::default(), ..self.clone() }
    }

    pub fn with_endpoints(&self, endpoints: Vec<String>) -> Self {
        Self { endpoints, ..self.clone() }
    }

    /// Clients of one member each, for answers that must come from the same one.
    pub(super) fn one_by_one(&self) -> impl Iterator<Item = Self> {
        self.endpoints.iter().map(|endpoint| self.with_endpoints(vec![endpoint.clone()]))
    }

    pub fn has_endpoints(&self) -> bool {
        !self.endpoints.is_empty()
    }

    pub(super) async fn call(&self, path: &str, token: Option<&str>, body: Value) -> Result<Value, EtcdError> {
        let begun = Instant::now();
        loop {
            let mut last = EtcdError::Nobody;
            for endpoint in &self.endpoints {
                match self.call_one(endpoint, path, token, &body).await {
                    Err(error) if error.is_of_this_member_alone() => last = error,
                    other => return other,
                }
            }
            let patience = if last.is_an_election() { self.patience.max(ELECTION) } else { self.patience };
            if begun.elapsed() >= patience {
                return Err(last);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn call_one(
        &self,
        endpoint: &str,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<Value, EtcdError> {
        let mut request = Request::builder().method(Method::POST).uri(format!("{endpoint}/v3/{path}"));
        if let Some(token) = token {
            request = request.header("Authorization", token);
        }
        let request = request.body(body.to_string().into_bytes().into()).map_err(|_| EtcdError::Shape)?;
        let answer = self.http.send(request).await?;
        let value: Value = serde_json::from_slice(&answer.body).map_err(|_| EtcdError::Shape)?;
        if answer.status.is_success() {
            return Ok(value);
        }
        let message = value["message"].as_str().or(value["error"].as_str()).unwrap_or("no message").to_owned();
        Err(EtcdError::Refused { message })
    }

    /// A token for the next calls; `None` while authentication is off.
    pub(super) async fn authenticate(&self) -> Result<Option<String>, EtcdError> {
        let Credentials { user, password } = &self.credentials;
        let body = json!({"name": user, "password": password.expose_secret()});
        match self.call("auth/authenticate", None, body).await {
            Ok(answer) => Ok(answer["token"].as_str().map(str::to_owned)),
            Err(error) if error.says("authentication is not enabled") => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn authorised(&self, path: &str, body: Value) -> Result<Value, EtcdError> {
        let token = match self.token() {
            Some(token) => Some(token),
            None => self.new_token().await?,
        };
        match self.call(path, token.as_deref(), body.clone()).await {
            // Tokens end with the member's process, and when users change.
            Err(error) if error.says("invalid auth token") || error.says("auth store is old") => {
                let token = self.new_token().await?;
                self.call(path, token.as_deref(), body).await
            }
            other => other,
        }
    }

    fn token(&self) -> Option<String> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn new_token(&self) -> Result<Option<String>, EtcdError> {
        let token = self.authenticate().await?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token.clone();
        Ok(token)
    }

    /// Does the first member answer with a quorum behind it?
    pub async fn healthy(&self) -> bool {
        let Some(endpoint) = self.endpoints.first() else { return false };
        let request = Request::builder().uri(format!("{endpoint}/health")).body(Default::default());
        let Ok(request) = request else { return false };
        self.http.send(request).await.is_ok_and(|answer| {
            serde_json::from_slice::<Value>(&answer.body).is_ok_and(|health| health["health"] == "true")
        })
    }
}
