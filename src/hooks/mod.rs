//! (room hooks)
