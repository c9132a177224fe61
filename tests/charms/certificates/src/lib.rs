//! A certificate authority, and the charm around it. For demo and tests: one unit, one CA at a time.
#![allow(
    clippy::disallowed_methods,
    reason = "a charm of its own for tests, outside the agent's walls: it is its own edge"
)]

pub mod answer;
pub mod authority;
pub mod charm;
pub mod issue;
