//! pgBackRest 2.45 and later: its configuration, arguments, answers and errors.

mod archive;
mod archiver;
mod args;
pub mod conf;
mod exit;
mod info;
mod lock_file;
mod run;

pub use args::{REQUEST_ANNOTATION, RestoreRequest};
pub use conf::{
    Compression, CompressionType, Conf, Paths, PeerConf, RepositoryConf, S3Repository, StanzaConf, TlsConf,
    UnsafeValue, UriStyle,
};
pub use exit::{EngineError, error_lines};
pub use run::{BackupLog, Ended, Engine, RunningProcess};
