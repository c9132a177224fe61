//! Whether a backup may be restored, and to where: what was asked, the set and
//! timeline that lead there, the proof that all WAL is there, the space. Pure.

mod asked;
mod chain;
mod ended;
mod moment;
mod nearest;
mod no_way;
mod plan;
mod question;
mod rights;
mod search;
mod space;
mod targets;
mod world;

pub use asked::{Asked, Typed};
pub use ended::{Elsewhere, ended};
pub use no_way::NoWay;
pub use plan::{RestorePlan, plan_restore};
pub use rights::{OtherUnit, RestoreFacts, may_restore};
pub use search::Around;
pub use world::{Open, Seal, World};

pub(super) use chain::chain;
pub(super) use rights::fault;

#[cfg(test)]
pub(super) mod tests;
