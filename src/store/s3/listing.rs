//! What lies below a prefix: all objects of all pages, or the folders right there.

use chrono::{DateTime, Utc};
use rusoto_s3::{ListObjectsV2Output, ListObjectsV2Request, S3};

use super::client::Store;
use super::request::{AnswerKind, Extra};
use crate::store::StoreError;

/// An object as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Relative to the repository's path.
    pub key: String,
    /// Bytes.
    pub size: u64,
    pub modified: DateTime<Utc>,
}

/// Pages of 1,000 keys that are read at most. Only a store that never ends has more.
const PAGES: usize = 1_000;

impl Store {
    /// All objects whose key begins with `prefix`, in the store's order (by key).
    pub async fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        let mut objects = Vec::new();
        for page in self.pages(prefix, None).await? {
            for object in page.contents.unwrap_or_default() {
                objects.extend(self.object(object)?);
            }
        }
        Ok(objects)
    }

    /// Names of the folders right below `prefix` (`backup/`), without slashes.
    pub async fn list_folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut folders = Vec::new();
        for page in self.pages(prefix, Some("/")).await? {
            let found = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|common| common.prefix);
            folders.extend(found.filter_map(|full| {
                let name = self.own_key(&full)?.strip_prefix(prefix)?.trim_end_matches('/');
                (!name.is_empty()).then(|| name.to_owned())
            }));
        }
        Ok(folders)
    }

    /// `None`: outside of the repository, which a sound store does not answer.
    fn object(&self, object: rusoto_s3::Object) -> Result<Option<Object>, StoreError> {
        let full = object.key.ok_or_else(|| self.garbled("an object without a key"))?;
        let Some(key) = self.own_key(&full) else { return Ok(None) };
        let modified = object.last_modified.unwrap_or_default().parse();
        let size = u64::try_from(object.size.unwrap_or_default());
        match (modified, size) {
            (Ok(modified), Ok(size)) => Ok(Some(Object { key: key.to_owned(), size, modified })),
            _ => Err(self.garbled("an object without size or time")),
        }
    }

    async fn pages(&self, prefix: &str, delimiter: Option<&str>) -> Result<Vec<ListObjectsV2Output>, StoreError> {
        let mut pages = Vec::new();
        let mut token = None;
        while pages.len() < PAGES {
            let page = self.page(prefix, delimiter, token.clone()).await?;
            let next = page.next_continuation_token.clone().filter(|_| page.is_truncated == Some(true));
            if page.is_truncated == Some(true) && (next.is_none() || next == token) {
                return Err(self.garbled("the listing goes on, but not how"));
            }
            pages.push(page);
            if next.is_none() {
                return Ok(pages);
            }
            token = next;
        }
        Err(self.garbled("the listing does not end"))
    }

    async fn page(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        token: Option<String>,
    ) -> Result<ListObjectsV2Output, StoreError> {
        let request = ListObjectsV2Request {
            bucket: self.bucket().into(),
            prefix: Some(self.full_key(prefix)),
            delimiter: delimiter.map(Into::into),
            continuation_token: token,
            ..Default::default()
        };
        let extra = Extra { answer: AnswerKind::Listing, ..Extra::default() };
        self.call(extra, |s3| async move { s3.list_objects_v2(request).await }).await
    }
}
