//! The store as the other rooms hold it: opened from the settings, bound to one
//! bucket and one folder in it. The operations are in the files beside.

use std::fmt;
use std::sync::Arc;

use rusoto_core::{Client, Region, RusotoError};
use rusoto_s3::S3Client;

use super::dispatch::Call;
use super::request::Extra;
use super::transport::Transport;
use crate::settings::{S3Settings, shortened_to};
use crate::store::StoreError;
use crate::store::pace::Pace;

/// Keys are relative to the repository's path. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    transport: Arc<Transport>,
    base: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("bucket", &self.bucket()).field("base", &self.base).finish_non_exhaustive()
    }
}

impl Store {
    /// Connects to nothing yet; fails when the certificates to trust are unusable.
    pub fn open(settings: &S3Settings) -> Result<Self, StoreError> {
        Self::open_at(settings, Pace::DEFAULT)
    }

    pub(super) fn open_at(settings: &S3Settings, pace: Pace) -> Result<Self, StoreError> {
        let base = settings.path.trim_matches('/').to_owned();
        Ok(Self { transport: Arc::new(Transport::open(settings, pace)?), base })
    }

    pub fn bucket(&self) -> &str {
        &self.transport.address.bucket
    }

    /// The repository's path without slashes around it; empty: the whole bucket.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The region requests are signed for: the given one, or the one the store
    /// named, or Amazon's first.
    pub fn region(&self) -> String {
        self.transport.region()
    }

    /// The key in the bucket of a key in the repository.
    pub(super) fn full_key(&self, key: &str) -> String {
        match self.base.as_str() {
            "" => key.to_owned(),
            base => format!("{base}/{key}"),
        }
    }

    /// The other way round; `None` for keys outside of the repository.
    pub(super) fn own_key<'a>(&self, full: &'a str) -> Option<&'a str> {
        match self.base.as_str() {
            "" => Some(full),
            base => full.strip_prefix(base)?.strip_prefix('/'),
        }
    }

    pub(in crate::store) fn garbled(&self, why: &str) -> StoreError {
        self.transport.garbled(why)
    }

    /// Runs one operation of rusoto over our transport.
    pub(super) async fn call<T, E, F>(
        &self,
        extra: Extra,
        operation: impl FnOnce(S3Client) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, RusotoError<E>>>,
    {
        let call = Call::new(Arc::clone(&self.transport), extra);
        // The transport signs and addresses: this region is a placeholder.
        let client = S3Client::new_with_client(Client::new_not_signing(call.clone()), Region::UsEast1);
        operation(client).await.map_err(|error| match (call.failed(), error) {
            (Some(failure), _) => failure,
            (None, RusotoError::ParseError(why)) => self.garbled(&shortened_to(200, &why)),
            (None, _) => self.garbled("it cannot be read"),
        })
    }
}
