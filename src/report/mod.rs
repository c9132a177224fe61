//! What people and programs read: tables, JSON, action results, progress. Pure.

pub mod json;
mod listing;
pub mod plan;
pub mod progress;
pub mod results;
pub mod table;
pub mod window;

pub use listing::{Listing, Running};
