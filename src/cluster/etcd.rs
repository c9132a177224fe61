//! etcd through its JSON gateway: the few calls the agent needs. Keys and
//! values are base64 there (etcd documentation, "gRPC gateway").

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::secrets::{ExposeSecret, SecretString};
use crate::sys::http::{HttpClient, HttpError, Method, Request};

const DEADLINE: Duration = Duration::from_secs(6);

#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    #[error("etcd")]
    Http(#[from] HttpError),
    #[error("etcd: {message}")]
    Refused { message: String },
    #[error("etcd answered something that is not JSON")]
    Shape,
}

impl EtcdError {
    pub fn says(&self, words: &str) -> bool {
        matches!(self, Self::Refused { message } if message.contains(words))
    }
}

/// A client of one member.
#[derive(Debug, Clone)]
pub struct Etcd {
    base: String,
    http: HttpClient,
    password: SecretString,
}

impl Etcd {
    /// `address` of the member; `password` of etcd's user `root`.
    pub fn at(address: &str, password: SecretString) -> Result<Self, HttpError> {
        Ok(Self { base: format!("http://{address}:2379"), http: HttpClient::plain(DEADLINE)?, password })
    }

    pub fn with_password(&self, password: SecretString) -> Self {
        Self { password, ..self.clone() }
    }

    pub(super) fn password(&self) -> &SecretString {
        &self.password
    }

    pub(super) async fn call(&self, path: &str, token: Option<&str>, body: Value) -> Result<Value, EtcdError> {
        let mut request = Request::builder().method(Method::POST).uri(format!("{}/v3/{path}", self.base));
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
    pub(super) async fn token(&self) -> Result<Option<String>, EtcdError> {
        let body = json!({"name": "root", "password": self.password.expose_secret()});
        match self.call("auth/authenticate", None, body).await {
            Ok(answer) => Ok(answer["token"].as_str().map(str::to_owned)),
            Err(error) if error.says("authentication is not enabled") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn authorised(&self, path: &str, body: Value) -> Result<Value, EtcdError> {
        let token = self.token().await?;
        self.call(path, token.as_deref(), body).await
    }

    /// Does it answer with a quorum behind it?
    pub async fn healthy(&self) -> bool {
        let request = Request::builder().uri(format!("{}/health", self.base)).body(Default::default());
        let Ok(request) = request else { return false };
        self.http.send(request).await.is_ok_and(|answer| {
            serde_json::from_slice::<Value>(&answer.body).is_ok_and(|health| health["health"] == "true")
        })
    }

    pub async fn delete(&self, key: &str) -> Result<(), EtcdError> {
        self.authorised("kv/deleterange", json!({"key": BASE64.encode(key)})).await.map(|_| ())
    }

    /// Deletes every key that begins with `prefix`.
    pub async fn delete_below(&self, prefix: &str) -> Result<(), EtcdError> {
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let body = json!({"key": BASE64.encode(prefix), "range_end": BASE64.encode(end)});
        self.authorised("kv/deleterange", body).await.map(|_| ())
    }
}
