//! (room restore)
