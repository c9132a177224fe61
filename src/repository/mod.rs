//! The repository of this cluster: set up, owned, written to. What a status or
//! an action says of it is for those above.

mod archiving;
mod conf;
mod set_up;

pub use archiving::use_archiving;
pub use conf::{drop_engine_beside, end_leftovers_beside, engine_beside};
pub use set_up::{NOT_YET, ensure, prepare_reading};
