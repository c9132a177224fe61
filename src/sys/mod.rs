//! The only room that touches the operating system: processes, files, locks,
//! services, the clock, sockets. It knows nothing of PostgreSQL or Juju.

pub mod clock;
pub mod environment;
pub mod files;
pub mod http;
pub mod lock;
pub mod network;
pub mod process;
pub mod services;
