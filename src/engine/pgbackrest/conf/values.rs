//! pgbackrest.conf as typed values. Decides what can be said in it, not how it is written.

use std::path::PathBuf;

use super::peers::TlsConf;
use crate::model::Stanza;
use crate::secrets::SecretString;

/// All that one unit's pgbackrest.conf holds.
#[derive(Debug, Clone)]
pub struct Conf {
    pub repository: RepositoryConf,
    pub compression: Compression,
    /// Processes that compress and transfer in parallel.
    pub process_max: u32,
    /// WAL is pushed and fetched in the background, in parallel.
    pub archive_async: bool,
    pub paths: Paths,
    pub stanza: StanzaConf,
    /// The other members of the cluster, and how they are spoken to; `None` is this unit alone.
    pub tls: Option<TlsConf>,
}

#[derive(Debug, Clone)]
pub struct RepositoryConf {
    pub storage: S3Repository,
    /// Small files are put into bundles: one request a bundle, not one a file.
    pub bundle: bool,
    /// Full backups older than this are expired with all that stands on them; `None` keeps all.
    pub retention_days: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct S3Repository {
    pub bucket: String,
    /// Host name alone: pgBackRest always speaks TLS.
    pub endpoint_host: String,
    pub endpoint_port: Option<u16>,
    pub region: String,
    /// Path in the bucket, starting with `/`.
    pub path: String,
    pub uri_style: UriStyle,
    pub key: SecretString,
    pub key_secret: SecretString,
    pub token: Option<SecretString>,
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriStyle {
    /// `https://endpoint/bucket/…`
    Path,
    /// `https://bucket.endpoint/…`
    Host,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    pub kind: CompressionType,
    pub level: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionType {
    None,
    Gz,
    Bz2,
    Lz4,
    Zst,
}

impl CompressionType {
    /// The word of `compress-type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gz => "gz",
            Self::Bz2 => "bz2",
            Self::Lz4 => "lz4",
            Self::Zst => "zst",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Paths {
    pub log: PathBuf,
    pub lock: PathBuf,
    pub spool: PathBuf,
}

/// The PostgreSQL of this unit.
#[derive(Debug, Clone)]
pub struct StanzaConf {
    pub name: Stanza,
    pub pg_path: PathBuf,
    pub pg_port: u16,
    pub pg_socket_dir: PathBuf,
    pub pg_user: String,
}

/// A value that would not survive the file as it is. The value itself is not shown: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pgBackRest option `{option}` {reason}")]
pub struct UnsafeValue {
    pub option: String,
    pub reason: &'static str,
}
