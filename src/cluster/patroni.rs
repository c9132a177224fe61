//! Patroni's REST API (Patroni documentation, "REST API"): who is what, and
//! the few commands the agent gives.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::model::{Role, Timeline};
use crate::secrets::{ExposeSecret, SecretString};
use crate::sys::http::{HttpClient, HttpError, Method, Request};

/// Of one call.
pub(crate) const DEADLINE: Duration = Duration::from_secs(6);

#[derive(Debug, thiserror::Error)]
pub enum PatroniError {
    #[error("Patroni")]
    Http(#[from] HttpError),
    #[error("Patroni refused: {0}")]
    Refused(String),
    #[error("Patroni answered something unexpected: {0}")]
    Shape(String),
}

/// One member, as `GET /cluster` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberState {
    /// Patroni's name: `postgresql-0`.
    pub name: String,
    pub role: Role,
    pub running: bool,
    pub timeline: Option<Timeline>,
    /// Bytes behind the primary; `None` on the primary or when Patroni cannot tell.
    pub lag: Option<u64>,
}

/// Patroni waits this long for a change of the primary, or for a restart.
const SWITCHOVER: Duration = Duration::from_secs(90);

/// What a member says of itself.
#[derive(Debug, Clone, Deserialize)]
pub struct OwnState {
    /// `running`, `starting`, `creating replica`, ...
    pub state: String,
    /// `master`, `replica`, ...
    #[serde(default)]
    pub role: String,
    /// A setting that PostgreSQL takes over at its next start only.
    #[serde(default)]
    pub pending_restart: bool,
    /// Nobody promotes, starts or stops anything while it is so.
    #[serde(default)]
    pub pause: bool,
}

impl OwnState {
    pub fn is_up(&self) -> bool {
        self.state == "running" || self.state == "streaming"
    }
}

#[derive(Deserialize)]
struct ClusterAnswer {
    members: Vec<MemberAnswer>,
}

#[derive(Deserialize)]
struct MemberAnswer {
    name: String,
    role: String,
    state: String,
    timeline: Option<u32>,
    /// A number of bytes, or the word "unknown".
    lag: Option<serde_json::Value>,
}

/// The REST API of one member.
#[derive(Debug, Clone)]
pub struct Patroni {
    base: String,
    http: HttpClient,
    password: SecretString,
}

impl Patroni {
    /// `base`: `https://10.0.0.1:8008`.
    pub fn new(base: String, http: HttpClient, password: SecretString) -> Self {
        Self { base, http, password }
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> Result<(u16, String), PatroniError> {
        let credentials = BASE64.encode(format!("patroni:{}", self.password.expose_secret()));
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.base))
            .header("Authorization", format!("Basic {credentials}"))
            .body(body.as_bytes().to_vec().into())
            .map_err(|error| PatroniError::Shape(error.to_string()))?;
        let answer = self.http.send(request).await?;
        Ok((answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned()))
    }

    /// All members that Patroni knows.
    pub async fn members(&self) -> Result<Vec<MemberState>, PatroniError> {
        let (_, body) = self.call(Method::GET, "cluster", "").await?;
        let answer: ClusterAnswer =
            serde_json::from_str(&body).map_err(|error| PatroniError::Shape(error.to_string()))?;
        Ok(answer.members.into_iter().map(member_state).collect())
    }

    /// This member alone, without asking etcd.
    pub async fn own_state(&self) -> Result<OwnState, PatroniError> {
        let (_, body) = self.call(Method::GET, "patroni", "").await?;
        serde_json::from_str(&body).map_err(|error| PatroniError::Shape(error.to_string()))
    }

    /// A planned change of the primary; Patroni answers when it is done. It
    /// chooses `candidate`, or the healthiest when there is none.
    pub async fn switchover(&self, leader: &str, candidate: Option<&str>) -> Result<(), PatroniError> {
        let mut body = serde_json::json!({"leader": leader});
        if let Some(candidate) = candidate {
            body["candidate"] = candidate.into();
        }
        self.command("switchover", &body.to_string(), SWITCHOVER).await
    }

    /// Throws this replica's data away and makes it anew.
    pub async fn reinitialize(&self) -> Result<(), PatroniError> {
        self.command("reinitialize", r#"{"force": true}"#, DEADLINE).await
    }

    /// Restarts PostgreSQL if a setting waits for it.
    pub async fn restart_if_pending(&self) -> Result<(), PatroniError> {
        self.command("restart", r#"{"restart_pending": true}"#, SWITCHOVER).await
    }

    async fn command(&self, path: &str, body: &str, patience: Duration) -> Result<(), PatroniError> {
        let patient = Self { http: self.http.clone().within(patience), ..self.clone() };
        let (status, answer) = patient.call(Method::POST, path, body).await?;
        if (200..300).contains(&status) { Ok(()) } else { Err(PatroniError::Refused(answer)) }
    }

    /// Is this member the primary with the leader's lock?
    pub async fn is_primary(&self) -> bool {
        self.call(Method::GET, "primary", "").await.is_ok_and(|(status, _)| status == 200)
    }
}

fn member_state(answer: MemberAnswer) -> MemberState {
    let role = match answer.role.as_str() {
        "leader" | "master" | "primary" | "standby_leader" => Role::Primary,
        _ => Role::Replica,
    };
    MemberState {
        name: answer.name,
        role,
        running: matches!(answer.state.as_str(), "running" | "streaming"),
        timeline: answer.timeline.map(Timeline),
        lag: answer.lag.and_then(|lag| lag.as_u64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_patroni_3_0_and_3_2_are_read() {
        let body = r#"{"members": [
          {"name": "pg-0", "role": "leader", "state": "running", "timeline": 2, "api_url": "x"},
          {"name": "pg-1", "role": "replica", "state": "streaming", "timeline": 2, "lag": 512},
          {"name": "pg-2", "role": "replica", "state": "starting", "lag": "unknown"}]}"#;
        let answer: ClusterAnswer = serde_json::from_str(body).unwrap();
        let got: Vec<_> =
            answer.members.into_iter().map(member_state).map(|m| (m.name, m.role, m.running, m.lag)).collect();
        assert_eq!(
            got,
            [
                ("pg-0".to_owned(), Role::Primary, true, None),
                ("pg-1".to_owned(), Role::Replica, true, Some(512)),
                ("pg-2".to_owned(), Role::Replica, false, None),
            ]
        );
    }
}
