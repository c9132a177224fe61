//! Scripted stand-ins for outside programs.
