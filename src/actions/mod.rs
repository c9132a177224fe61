//! (room actions)
