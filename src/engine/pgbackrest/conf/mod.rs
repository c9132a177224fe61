//! pgbackrest.conf: what it can say, and how it is written.

mod peers;
mod render;
mod values;

pub use peers::{PeerConf, TlsConf};
pub use render::render;
pub use values::{
    Compression, CompressionType, Conf, Paths, RepositoryConf, S3Repository, StanzaConf, UnsafeValue, UriStyle,
};
