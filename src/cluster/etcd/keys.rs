//! Keys and values, base64 in the gateway's JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::client::{Etcd, EtcdError};

pub(super) fn encoded(text: &str) -> String {
    BASE64.encode(text)
}

/// The value of the first key of an answer's `kvs`.
pub(super) fn first_value(answer: &Value) -> Option<String> {
    let bytes = BASE64.decode(answer["kvs"][0]["value"].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

impl Etcd {
    /// Read through the quorum: what was written before is seen.
    pub async fn get(&self, key: &str) -> Result<Option<String>, EtcdError> {
        let answer = self.authorised("kv/range", json!({"key": encoded(key)})).await?;
        Ok(first_value(&answer))
    }

    pub async fn delete(&self, key: &str) -> Result<(), EtcdError> {
        self.authorised("kv/deleterange", json!({"key": encoded(key)})).await.map(|_| ())
    }

    /// Deletes every key that begins with `prefix`.
    pub async fn delete_below(&self, prefix: &str) -> Result<(), EtcdError> {
        let mut end = prefix.as_bytes().to_vec();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let body = json!({"key": encoded(prefix), "range_end": BASE64.encode(end)});
        self.authorised("kv/deleterange", body).await.map(|_| ())
    }
}
