//! What a charm declares, and how its files are laid out on disk.

pub(crate) mod complete;
mod metadata;
pub(crate) mod schema;
pub(crate) mod unpack;

pub(crate) use metadata::Charm;
