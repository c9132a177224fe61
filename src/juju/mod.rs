//! The hook tools, one to one, and the context that Juju started us in.
//! Facts: Juju's `internal/worker/uniter/runner` and its `jujuc` tools.

mod context;
mod error;
mod relations;
mod secrets;
mod tools;

pub use context::{Context, NoContext};
pub use error::JujuError;
pub use relations::Bag;
pub use secrets::SecretAnswer;
pub use tools::{Juju, Level};
