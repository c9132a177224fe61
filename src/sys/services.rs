//! (services)
