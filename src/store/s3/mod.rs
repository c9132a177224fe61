//! The S3 client: rusoto builds, signs and reads; our dispatcher sends.

mod bucket;
mod client;
mod dispatch;
mod listing;
mod objects;
mod request;
mod transport;

#[cfg(test)]
mod tests;

pub use bucket::BucketState;
pub use client::Store;
pub use listing::Object;
