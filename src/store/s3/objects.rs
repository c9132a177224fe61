//! Small whole objects: put, put if absent, get, delete.

use bytes::Bytes;
use rusoto_s3::{DeleteObjectRequest, GetObjectRequest, PutObjectRequest, S3};
use tokio::io::AsyncReadExt;

use super::client::Store;
use super::request::Extra;
use crate::store::{Refusal, StoreError};

impl Store {
    /// Writes the object, over an older one if there is one.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.put_with(key, bytes.into(), Vec::new()).await
    }

    /// Writes the object unless there is one; answers whether it is ours now.
    /// Bytes that tell the writer make it a lock.
    ///
    /// The store decides by `If-None-Match: *`. Stores without that (some refuse
    /// it, some ignore it) are asked first, which leaves them a moment of race.
    pub async fn put_if_absent(&self, key: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
        if self.get(key).await?.is_some() {
            return Ok(false);
        }
        let bytes = Bytes::from(bytes);
        let refused = match self.put_with(key, bytes.clone(), vec![("if-none-match", "*".to_owned())]).await {
            Ok(()) => return Ok(true),
            Err(error) => error,
        };
        match refused.refusal() {
            // Somebody was first; or we were, and the answer to our first try was lost.
            Some(Refusal { status: 412, .. }) => Ok(self.get(key).await?.is_some_and(|there| there == bytes)),
            Some(refusal) if refusal.is_not_implemented() => self.put_with(key, bytes, Vec::new()).await.map(|()| true),
            _ => Err(refused),
        }
    }

    /// The object's bytes, or `None` when there is no such object.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let request = GetObjectRequest { bucket: self.bucket().into(), key: self.full_key(key), ..Default::default() };
        let got = self.call(Extra::default(), |s3| async move { s3.get_object(request).await }).await;
        let body = match got {
            Ok(output) => output.body,
            Err(error) if error.refusal().is_some_and(Refusal::is_no_such_key) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        if let Some(body) = body {
            body.into_async_read().read_to_end(&mut bytes).await.map_err(|why| self.garbled(&why.to_string()))?;
        }
        Ok(Some(bytes.into()))
    }

    /// Removes the object; fine when it is not there.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let request =
            DeleteObjectRequest { bucket: self.bucket().into(), key: self.full_key(key), ..Default::default() };
        match self.call(Extra::default(), |s3| async move { s3.delete_object(request).await }).await {
            Err(error) if !error.refusal().is_some_and(Refusal::is_no_such_key) => Err(error),
            _ => Ok(()),
        }
    }

    async fn put_with(&self, key: &str, bytes: Bytes, headers: Vec<(&'static str, String)>) -> Result<(), StoreError> {
        let request = PutObjectRequest { bucket: self.bucket().into(), key: self.full_key(key), ..Default::default() };
        let extra = Extra { headers, payload: Some(bytes), ..Extra::default() };
        self.call(extra, |s3| async move { s3.put_object(request).await }).await.map(|_| ())
    }
}
