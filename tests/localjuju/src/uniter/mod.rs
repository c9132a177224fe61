//! The unit's agent as rules: which operation is next, its environment, what its end changes.

pub(crate) mod commit;
pub(crate) mod context;
pub(crate) mod environ;
pub(crate) mod flush;
pub(crate) mod hook;
pub(crate) mod resolver;
