//! stub
use crate::model::*;
pub struct Running { pub kind: BackupKind, pub started: chrono::DateTime<chrono::Utc>, pub percent_hundredths: Option<u32> }
pub struct Listing { pub bucket: String, pub path: String, pub stanza: Stanza, pub backups: Vec<Backup>, pub failed: Vec<FailedRun>, pub running: Option<Running>, pub histories: Vec<TimelineHistory> }
pub mod table { pub fn backups(l: &super::Listing) -> String { format!("{:?}", l.backups) } }
pub mod json { pub fn backups(_: &super::Listing) -> serde_json::Value { serde_json::json!({}) } }
pub mod results { pub fn created(b: &crate::model::Backup) -> Vec<(String, String)> { vec![("backup-status".into(), "backup created".into()), ("backup-id".into(), b.id().to_string())] } }
pub mod progress { pub fn line(p: u32, _: Option<u64>, _: std::time::Duration) -> String { format!("{p}") } pub fn bytes(b: u64) -> String { b.to_string() } }
