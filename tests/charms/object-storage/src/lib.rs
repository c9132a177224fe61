//! An S3 server on local files, and the charm around it. For demo and tests: one unit, one endpoint.
#![allow(
    clippy::disallowed_methods,
    reason = "a charm of its own for tests, outside the agent's walls: it is its own edge"
)]

pub mod charm;
pub mod daemon;
pub mod home;
pub mod keys;
pub mod pki;
pub mod s3;
pub mod server;
pub mod store;
