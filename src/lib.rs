//! `pg-backup-agent`: the whole `dispatch` of a Juju machine charm that runs,
//! backs up and restores a PostgreSQL cluster. ARCHITECTURE.md draws the rooms.

pub mod actions;
pub mod agent;
pub mod certificate;
pub mod cli;
pub mod cluster;
pub mod dispatch;
pub mod engine;
pub mod hooks;
pub mod juju;
pub mod model;
pub mod observe;
pub mod policy;
pub mod report;
pub mod repository;
pub mod restore;
pub mod secrets;
pub mod service;
pub mod settings;
pub mod started;
pub mod store;
pub mod sys;
