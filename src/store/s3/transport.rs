//! One S3 request from signing to an answer: tries again what may heal, learns
//! the region of a bucket whose region nobody told. Knows no S3 operation.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rusoto_core::credential::AwsCredentials;
use rusoto_core::signature::SignedRequest;
use tokio::time::Instant;

use super::request::{AnswerKind, Extra, complete, sign, to_send};
use crate::secrets::{ExposeSecret, SecretString};
use crate::settings::S3Settings;
use crate::store::address::Address;
use crate::store::pace::Pace;
use crate::store::{Refusal, StoreError, listing};
use crate::sys::http::{Answer, HttpClient, Trust};

pub(super) struct Transport {
    http: HttpClient,
    pub address: Address,
    access_key: SecretString,
    secret_key: SecretString,
    session_token: Option<SecretString>,
    region: Mutex<Region>,
    pace: Pace,
}

#[derive(Debug, Clone)]
enum Region {
    /// By the settings: a store that wants another one is refused by its word.
    Given(String),
    /// Nobody told: Amazon's first region, until the store says better, once.
    Assumed,
    Learned(String),
}

impl Region {
    fn name(&self) -> &str {
        match self {
            Self::Given(name) | Self::Learned(name) => name,
            Self::Assumed => "us-east-1",
        }
    }
}

impl Transport {
    pub fn open(settings: &S3Settings, pace: Pace) -> Result<Self, StoreError> {
        let trust = settings.ca_chain.clone().map_or(Trust::System, Trust::Only);
        let http = match settings.endpoint.https {
            true => HttpClient::new(&trust, pace.deadline),
            false => HttpClient::plain(pace.deadline),
        };
        Ok(Self {
            http: http.map_err(|error| StoreError::of_http(&settings.endpoint, error))?,
            address: Address::of(settings),
            access_key: settings.access_key.clone(),
            secret_key: settings.secret_key.clone(),
            session_token: settings.session_token.clone(),
            region: Mutex::new(settings.region.clone().map_or(Region::Assumed, Region::Given)),
            pace,
        })
    }

    pub fn region(&self) -> String {
        self.locked().name().to_owned()
    }

    /// Sends until an answer is good, hopeless or late. Only good bodies come back.
    pub async fn send(&self, mut request: SignedRequest, extra: Extra) -> Result<Bytes, StoreError> {
        let kind = extra.answer;
        complete(&mut request, extra, &self.address);
        let started = Instant::now();
        let mut made = 0;
        loop {
            made += 1;
            let left = self.pace.budget.saturating_sub(started.elapsed());
            let error = match self.once(&mut request, kind, left).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            if self.learns_region(&error) {
                continue;
            }
            let pause = self.pace.next(made, started.elapsed(), chance()).filter(|_| error.is_transient());
            let Some(pause) = pause else { return Err(error) };
            tracing::debug!(cause = %error, tries = made, "trying the store again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(&self, request: &mut SignedRequest, kind: AnswerKind, left: Duration) -> Result<Bytes, StoreError> {
        let region = self.region();
        let endpoint = self.address.endpoint(&region);
        sign(request, &self.address, &region, &self.credentials());
        let to_send = to_send(request).map_err(|why| self.garbled(&why))?;
        let answer = tokio::time::timeout(left, self.http.send(to_send))
            .await
            .map_err(|_| StoreError::Silent { endpoint: endpoint.to_string(), after: left })?
            .map_err(|error| StoreError::of_http(&endpoint, error))?;
        self.judge(answer, kind)
    }

    fn judge(&self, answer: Answer, kind: AnswerKind) -> Result<Bytes, StoreError> {
        if !answer.status.is_success() {
            return Err(self.refused(&answer));
        }
        if kind == AnswerKind::Listing {
            listing::check(&answer.body).map_err(|why| self.garbled(why))?;
        }
        Ok(answer.body)
    }

    fn refused(&self, answer: &Answer) -> StoreError {
        let region = answer.headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
        let token = self.session_token.iter();
        let secrets: Vec<&str> =
            [&self.access_key, &self.secret_key].into_iter().chain(token).map(ExposeSecret::expose_secret).collect();
        let refusal = Refusal::read(answer.status.as_u16(), region, &answer.body, &secrets);
        StoreError::Refused { bucket: self.address.bucket.clone(), refusal }
    }

    pub fn garbled(&self, why: &str) -> StoreError {
        StoreError::Garbled { bucket: self.address.bucket.clone(), why: why.to_owned() }
    }

    /// Once, and only when the settings name no region.
    fn learns_region(&self, error: &StoreError) -> bool {
        let Some(name) = error.refusal().and_then(|refusal| refusal.region.clone()) else { return false };
        let mut region = self.locked();
        let new = matches!(*region, Region::Assumed) && name != region.name();
        if new {
            *region = Region::Learned(name);
        }
        new
    }

    fn credentials(&self) -> AwsCredentials {
        let token = self.session_token.as_ref().map(|token| token.expose_secret().to_owned());
        AwsCredentials::new(self.access_key.expose_secret(), self.secret_key.expose_secret(), token, None)
    }

    fn locked(&self) -> MutexGuard<'_, Region> {
        self.region.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 0 to 1. Without entropy all units pause alike, which is no reason to fail.
fn chance() -> f64 {
    let mut byte = [128];
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
