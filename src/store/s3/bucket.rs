//! Is the bucket there? If not, it is made.

use rusoto_s3::{CreateBucketConfiguration, CreateBucketRequest, HeadBucketRequest, ListObjectsV2Request, S3};

use super::client::Store;
use super::request::{AnswerKind, Extra};
use crate::store::{Refusal, StoreError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketState {
    Existed,
    Created,
}

impl Store {
    /// Makes the bucket if it is missing. An error is the store's own reason.
    pub async fn ensure_bucket(&self) -> Result<BucketState, StoreError> {
        match self.look().await {
            Ok(()) => Ok(BucketState::Existed),
            Err(error) if error.refusal().is_some_and(Refusal::is_no_such_bucket) => self.create().await,
            Err(error) => Err(error),
        }
    }

    /// HEAD is what all stores know, but its refusals have no words: the same
    /// permission lets us list, and a refused listing says why.
    pub async fn look(&self) -> Result<(), StoreError> {
        let request = HeadBucketRequest { bucket: self.bucket().into(), ..Default::default() };
        let seen = self.call(Extra::default(), |s3| async move { s3.head_bucket(request).await }).await;
        match &seen {
            Err(StoreError::Refused { refusal, .. }) if (400..404).contains(&refusal.status) => self.peek().await,
            _ => seen,
        }
    }

    async fn peek(&self) -> Result<(), StoreError> {
        let request = ListObjectsV2Request { bucket: self.bucket().into(), max_keys: Some(1), ..Default::default() };
        let extra = Extra { answer: AnswerKind::Listing, ..Extra::default() };
        self.call(extra, |s3| async move { s3.list_objects_v2(request).await }).await.map(|_| ())
    }

    /// With the region as its place, then without: some stores know no places.
    async fn create(&self) -> Result<BucketState, StoreError> {
        let region = Some(self.region()).filter(|region| region != "us-east-1");
        let placed = match &region {
            Some(region) => self.create_in(Some(region.clone())).await,
            None => self.create_in(None).await,
        };
        match placed {
            Err(error) if region.is_some() && knows_no_places(&error) => self.create_in(None).await,
            other => other,
        }
    }

    async fn create_in(&self, place: Option<String>) -> Result<BucketState, StoreError> {
        let place = place.map(|place| CreateBucketConfiguration { location_constraint: Some(place) });
        let request = CreateBucketRequest {
            bucket: self.bucket().into(),
            create_bucket_configuration: place,
            ..Default::default()
        };
        match self.call(Extra::default(), |s3| async move { s3.create_bucket(request).await }).await {
            Ok(_) => Ok(BucketState::Created),
            // Another unit was faster, or the answer to our first try was lost.
            Err(error) if error.refusal().is_some_and(|said| said.code == "BucketAlreadyOwnedByYou") => {
                Ok(BucketState::Existed)
            }
            Err(error) => Err(error),
        }
    }
}

/// A refusal of the request as such; not of us (403), nor of the name (409).
fn knows_no_places(error: &StoreError) -> bool {
    error.refusal().is_some_and(|refusal| matches!(refusal.status, 400 | 501))
}
