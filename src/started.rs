//! (room started)
