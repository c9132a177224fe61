//! Claims: one unit at a time does a piece of work. A claim is a key with a
//! lease, so it ends by itself when its holder is killed.

use std::time::Duration;

use serde_json::json;

use super::client::{Etcd, EtcdError};
use super::keys::{encoded, first_value};

/// Held until released, or until the lease runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    key: String,
    lease: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    Ours(Claim),
    /// What the holder wrote.
    Theirs(String),
}

impl Etcd {
    /// Writes `value` under `key` if nobody has; it goes when it was not kept
    /// for `life` (whole seconds).
    pub async fn claim(&self, key: &str, value: &str, life: Duration) -> Result<Claimed, EtcdError> {
        let granted = self.authorised("lease/grant", json!({"TTL": life.as_secs().to_string()})).await?;
        let lease = granted["ID"].as_str().ok_or(EtcdError::Shape)?.to_owned();
        let put = json!({"request_put": {"key": encoded(key), "value": encoded(value), "lease": lease}});
        let transaction = json!({
            "compare": [{"key": encoded(key), "target": "CREATE", "create_revision": "0", "result": "EQUAL"}],
            "success": [put],
            "failure": [{"request_range": {"key": encoded(key)}}],
        });
        let answer = self.authorised("kv/txn", transaction).await?;
        let claim = Claim { key: key.to_owned(), lease };
        if answer["succeeded"] == true {
            return Ok(Claimed::Ours(claim));
        }
        self.revoke(&claim).await?;
        Ok(Claimed::Theirs(first_value(&answer["responses"][0]["response_range"]).unwrap_or_default()))
    }

    /// Once more the whole life. Fails when it ended meanwhile.
    pub async fn keep(&self, claim: &Claim) -> Result<(), EtcdError> {
        let answer = self.authorised("lease/keepalive", json!({"ID": claim.lease})).await?;
        // An ended lease is answered without a time to live.
        match answer["result"]["TTL"].as_str() {
            Some(_) => Ok(()),
            None => Err(EtcdError::Refused { message: "the claim has ended".to_owned() }),
        }
    }

    /// Writes another value and keeps the claim.
    pub async fn rewrite(&self, claim: &Claim, value: &str) -> Result<(), EtcdError> {
        let body = json!({"key": encoded(&claim.key), "value": encoded(value), "lease": claim.lease});
        self.authorised("kv/put", body).await?;
        self.keep(claim).await
    }

    pub async fn release(&self, claim: &Claim) -> Result<(), EtcdError> {
        self.revoke(claim).await
    }

    async fn revoke(&self, claim: &Claim) -> Result<(), EtcdError> {
        self.authorised("lease/revoke", json!({"ID": claim.lease})).await.map(|_| ())
    }
}
