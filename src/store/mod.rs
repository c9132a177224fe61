//! The agent's own objects in the repository: markers, failed runs, logs, a canary.
//! pgBackRest moves all database data itself. Only s3/ knows rusoto.

mod address;
mod canary;
mod error;
mod listing;
mod markers;
mod pace;
mod refusal;
mod runs;
mod s3;
#[cfg(test)]
mod server;

pub use canary::{CanaryError, canary};
pub use error::StoreError;
pub use markers::{Markers, adopt, claim, read_markers};
pub use refusal::Refusal;
pub use runs::{Latest, failed_runs, log_text, put_latest, put_log, record_failed};
pub use s3::{BucketState, Object, Store};
