//! A small object that is written, read back and deleted: proof that the
//! repository works before the database is disturbed.

use super::{Store, StoreError};

/// Says the step that failed; the source says why.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    #[error("writing a test object")]
    Write(#[source] StoreError),
    #[error("reading the test object back")]
    Read(#[source] StoreError),
    #[error("bucket {bucket}: the test object came back changed")]
    Changed { bucket: String },
    #[error("bucket {bucket}: the test object was written, but is not there")]
    Lost { bucket: String },
    #[error("deleting the test object")]
    Delete(#[source] StoreError),
}

impl CanaryError {
    /// May the same work in a moment?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Write(error) | Self::Read(error) | Self::Delete(error) => error.is_transient(),
            Self::Changed { .. } | Self::Lost { .. } => false,
        }
    }
}

/// `token` must differ from run to run: an old object cannot pass for ours.
pub async fn canary(store: &Store, token: &str) -> Result<(), CanaryError> {
    let key = key(token);
    store.put(&key, token.into()).await.map_err(CanaryError::Write)?;
    let same = compare(store, &key, token).await;
    // It goes whatever was read; the first failure is the one to tell.
    let gone = store.delete(&key).await.map_err(CanaryError::Delete);
    same.and(gone)
}

async fn compare(store: &Store, key: &str, token: &str) -> Result<(), CanaryError> {
    let bucket = || store.bucket().to_owned();
    match store.get(key).await.map_err(CanaryError::Read)? {
        Some(bytes) if bytes == token => Ok(()),
        Some(_) => Err(CanaryError::Changed { bucket: bucket() }),
        None => Err(CanaryError::Lost { bucket: bucket() }),
    }
}

fn key(token: &str) -> String {
    let plain: String = token.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    format!("agent/canary/{plain}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error_chain;
    use crate::store::server::{Reply, Server, memory};

    #[tokio::test]
    async fn a_working_store_is_left_as_it_was() {
        let server = Server::start(memory(&[]));
        canary(&server.store(), "token-1").await.unwrap();
        assert_eq!(
            server.lines(),
            [
                "PUT /backups/pg/agent/canary/token1",
                "GET /backups/pg/agent/canary/token1",
                "DELETE /backups/pg/agent/canary/token1"
            ]
        );
    }

    #[tokio::test]
    async fn a_failure_says_its_step_and_the_stores_words() {
        let ok = || Reply::new(200, "");
        let no = || Reply::new(403, "<Error><Code>AccessDenied</Code></Error>");
        #[rustfmt::skip]
        let table = [
            (vec![no()],                                           "writing a test object: bucket backups: access denied (403)"),
            (vec![ok(), no(), ok()],                               "reading the test object back: bucket backups: access denied (403)"),
            (vec![ok(), Reply::new(200, "other"), ok()],           "bucket backups: the test object came back changed"),
            (vec![ok(), Reply::new(404, ""), no()],                "bucket backups: the test object was written, but is not there"),
            (vec![ok(), Reply::new(200, "token"), no()],           "deleting the test object: bucket backups: access denied (403)"),
        ];
        for (replies, want) in table {
            let server = Server::scripted(replies);
            let error = canary(&server.store(), "token").await.unwrap_err();
            assert_eq!(error_chain(&error), want);
        }
    }
}
