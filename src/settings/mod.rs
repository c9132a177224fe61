//! Charm options, relation data and secrets: as typed -> as meant, or refused by
//! name. Pure: what is done about a refusal is for the rooms above.

mod ca;
pub mod certificates;
mod config;
mod endpoint;
mod hostile;
mod s3;
mod s3_fields;
mod s3_request;
mod secret_uri;
mod system_users;

pub use config::{BadOption, Compression, Config, ProcessMax};
pub use endpoint::Endpoint;
pub use s3::{BadRepository, S3Settings, UriStyle};
pub use s3_request::s3_request;
pub use secret_uri::{NotASecretUri, SecretUri};
pub use system_users::{BadSystemUsers, SystemUsers, raft_tag};

pub(crate) use hostile::{shortened, shortened_to};
