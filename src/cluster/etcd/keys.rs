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
    decoded(&answer["kvs"][0]["value"])
}

fn decoded(value: &Value) -> Option<String> {
    String::from_utf8(BASE64.decode(value.as_str()?).ok()?).ok()
}

/// The first key that no longer begins with `prefix`.
fn end_of(prefix: &str) -> String {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    BASE64.encode(end)
}

/// Number of the change that wrote a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision(String);

impl Etcd {
    /// Read through the quorum: what was written before is seen.
    pub async fn get(&self, key: &str) -> Result<Option<String>, EtcdError> {
        let answer = self.authorised("kv/range", json!({"key": encoded(key)})).await?;
        Ok(first_value(&answer))
    }

    /// What stands there, and which change wrote it: for [`Etcd::put_if`].
    pub async fn get_with_revision(&self, key: &str) -> Result<Option<(String, Revision)>, EtcdError> {
        let answer = self.authorised("kv/range", json!({"key": encoded(key)})).await?;
        let Some(value) = first_value(&answer) else { return Ok(None) };
        let revision = answer["kvs"][0]["mod_revision"].as_str().ok_or(EtcdError::Shape)?;
        Ok(Some((value, Revision(revision.to_owned()))))
    }

    /// Writes when nobody has written since `seen` (`None`: when nothing stands
    /// there), and answers which change that was. `None`: somebody was faster.
    pub async fn put_if(&self, key: &str, value: &str, seen: Option<&Revision>) -> Result<Option<Revision>, EtcdError> {
        let revision = seen.map_or("0", |Revision(revision)| revision);
        let transaction = json!({
            "compare": [{"key": encoded(key), "target": "MOD", "mod_revision": revision, "result": "EQUAL"}],
            "success": [{"request_put": {"key": encoded(key), "value": encoded(value)}}],
        });
        let answer = self.authorised("kv/txn", transaction).await?;
        let written = answer["header"]["revision"].as_str().ok_or(EtcdError::Shape)?;
        Ok((answer["succeeded"] == true).then(|| Revision(written.to_owned())))
    }

    pub async fn put(&self, key: &str, value: &str) -> Result<(), EtcdError> {
        let body = json!({"key": encoded(key), "value": encoded(value)});
        self.authorised("kv/put", body).await.map(|_| ())
    }

    /// Every value whose key begins with `prefix`, in the order of the keys.
    pub async fn values_below(&self, prefix: &str) -> Result<Vec<String>, EtcdError> {
        let answer = self.authorised("kv/range", json!({"key": encoded(prefix), "range_end": end_of(prefix)})).await?;
        let values = answer["kvs"].as_array().into_iter().flatten();
        Ok(values.filter_map(|entry| decoded(&entry["value"])).collect())
    }

    /// What follows `prefix` in every key that begins with it.
    pub async fn names_below(&self, prefix: &str) -> Result<Vec<String>, EtcdError> {
        let body = json!({"key": encoded(prefix), "range_end": end_of(prefix), "keys_only": true});
        let answer = self.authorised("kv/range", body).await?;
        let keys = answer["kvs"].as_array().into_iter().flatten().filter_map(|entry| decoded(&entry["key"]));
        Ok(keys.filter_map(|key| key.strip_prefix(prefix).map(str::to_owned)).collect())
    }

    pub async fn delete(&self, key: &str) -> Result<(), EtcdError> {
        self.authorised("kv/deleterange", json!({"key": encoded(key)})).await.map(|_| ())
    }

    /// Deletes every key that begins with `prefix`.
    pub async fn delete_below(&self, prefix: &str) -> Result<(), EtcdError> {
        let body = json!({"key": encoded(prefix), "range_end": end_of(prefix)});
        self.authorised("kv/deleterange", body).await.map(|_| ())
    }
}
