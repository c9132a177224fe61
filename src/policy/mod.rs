//! stub
pub mod status {
    pub enum Level { Blocked, Waiting, Maintenance, Active }
    impl Level { pub fn word(&self) -> &'static str { match self { Self::Blocked=>"blocked", Self::Waiting=>"waiting", Self::Maintenance=>"maintenance", Self::Active=>"active" } } }
    pub struct Condition { pub level: Level, pub message: String }
    pub fn blocked(m: impl Into<String>) -> Condition { Condition { level: Level::Blocked, message: m.into() } }
    pub fn waiting(m: impl Into<String>) -> Condition { Condition { level: Level::Waiting, message: m.into() } }
    pub fn unit_status(c: &[Condition]) -> Condition { match c.first() { Some(c) => Condition{ level: match c.level { Level::Blocked => Level::Blocked, _ => Level::Waiting }, message: c.message.clone() }, None => Condition { level: Level::Active, message: String::new() } } }
}
pub mod ownership {
    use crate::model::Stanza;
    pub enum Ownership { Free, Ours, Foreign { why: String } }
    pub struct Evidence<'a> { pub model_uuid: &'a str, pub stanza: &'a Stanza, pub system_id: Option<u64>, pub marker_uuid: Option<&'a str>, pub stanzas: &'a [String], pub catalog_system_id: Option<u64> }
    pub fn decide(_: &Evidence) -> Ownership { Ownership::Free }
}
pub mod restore {
    use crate::model::*;
    pub struct RestoreFacts { pub application: String, pub planned_units: Observed<u32>, pub is_leader: bool, pub settings: Observed<()>, pub stanza_ready: Observed<bool>, pub catalog: Observed<Catalog>, pub restore_under_way: Option<String>, pub engine_busy: Option<String>, pub free_bytes: Observed<u64>, pub standby_cluster: bool }
    pub struct RestorePlan { pub backup: Backup }
    pub fn plan_restore(f: &RestoreFacts, id: Option<&str>) -> Result<RestorePlan, AgentError> {
        let id = id.unwrap().parse::<BackupId>().map_err(|e| AgentError::refused(e.to_string(), ""))?;
        Ok(RestorePlan { backup: f.catalog.known().unwrap().find(id).unwrap().clone() })
    }
}
use crate::model::*;
pub struct Facts { pub unit: UnitName, pub planned_units: Observed<u32>, pub role: Observed<Role>, pub member_running: Observed<bool>, pub tls: bool, pub replica_lag_bytes: Observed<Option<u64>>, pub primary_unit: Option<UnitName>, pub healthiest_replica: Option<UnitName>, pub settings: Observed<()>, pub stanza_ready: Observed<bool>, pub engine_busy: Option<String>, pub restore_under_way: Option<String>, pub has_full_backup: Observed<bool>, pub standby_cluster: bool, pub application: String }
pub fn plan_backup(_: &Facts, kind: BackupKind) -> Result<BackupPlan, AgentError> { Ok(BackupPlan { kind, copy_from: CopyFrom::Primary }) }
