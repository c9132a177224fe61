//! Backup engines: how to drive them and what their answers mean. Decides
//! nothing about who may back up; pgBackRest is the first and the only one yet.

pub mod pgbackrest;
