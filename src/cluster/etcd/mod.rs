//! etcd: its API, its members, who may use it, claims on shared work.

mod access;
mod claim;
mod client;
mod keys;
mod members;
mod membership;

pub use access::Credentials;
pub use claim::{Claim, Claimed};
pub(crate) use client::DEADLINE;
pub use client::{Etcd, EtcdError};
pub use keys::Revision;
pub use members::EtcdMember;
pub use membership::{Own, Step, next_step};
