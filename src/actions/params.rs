//! An action's parameters, from Juju's JSON to types. Juju has checked them
//! against actions.yaml; what gets through all the same is refused by name.

use serde_json::Value;

use super::ListFormat;
use super::restore::Mode;
use crate::model::{AgentError, BackupKind};
use crate::policy::restore::Typed;

pub(super) struct Params {
    action: String,
    given: Value,
}

/// Longest text that a parameter may be: nothing we take is longer than a line.
const LONGEST: usize = 1024;

fn known(action: &str) -> &'static [&'static str] {
    match action {
        "create-backup" => &["type"],
        "list-backups" => &["format"],
        "restore" => &[
            "backup-id",
            "restore-to-time",
            "restore-to-lsn",
            "restore-to-xid",
            "restore-to-name",
            "timeline",
            "exclusive",
            "dry-run",
            "hold",
        ],
        _ => &[],
    }
}

impl Params {
    pub fn of(action: &str, given: Value) -> Result<Self, AgentError> {
        let unknown = given.as_object().into_iter().flatten().find(|(key, _)| !known(action).contains(&key.as_str()));
        match unknown {
            Some((key, _)) => {
                Err(AgentError::refused(format!("{action} has no parameter `{}`", shown(key)), takes(action)))
            }
            None => Ok(Self { action: action.to_owned(), given }),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>, AgentError> {
        let wrong = |why: &str| AgentError::refused(format!("parameter `{name}` of {} {why}", self.action), "");
        match &self.given[name] {
            Value::Null => Ok(None),
            Value::String(text) if text.len() > LONGEST => Err(wrong("is too long")),
            Value::String(text) if text.chars().any(char::is_control) => {
                Err(wrong("has a line break or control character"))
            }
            Value::String(text) => Ok(Some(text)),
            _ => Err(wrong("must be text")),
        }
    }

    pub fn kind(&self) -> Result<BackupKind, AgentError> {
        let text = self.text("type")?.unwrap_or("full");
        text.parse().map_err(|error: crate::model::NotABackupKind| AgentError::refused(error.to_string(), ""))
    }

    pub fn format(&self) -> Result<ListFormat, AgentError> {
        match self.text("format")?.unwrap_or("table") {
            "table" => Ok(ListFormat::Table),
            "json" => Ok(ListFormat::Json),
            other => {
                Err(AgentError::refused(format!("Invalid format: {}. Possible values: table, json.", shown(other)), ""))
            }
        }
    }

    /// Where to restore to, as typed.
    pub fn target(&self) -> Result<Typed, AgentError> {
        let text = |name: &str| Ok::<_, AgentError>(self.text(name)?.map(str::to_owned));
        Ok(Typed {
            backup_id: text("backup-id")?,
            time: text("restore-to-time")?,
            lsn: text("restore-to-lsn")?,
            xid: self.number("restore-to-xid")?,
            name: text("restore-to-name")?,
            timeline: self.number("timeline")?,
            exclusive: self.flag("exclusive")?,
        })
    }

    pub fn mode(&self) -> Result<Mode, AgentError> {
        match (self.flag("dry-run")?, self.flag("hold")?) {
            (true, _) => Ok(Mode::DryRun),
            (false, true) => Ok(Mode::Hold),
            (false, false) => Ok(Mode::Restore),
        }
    }

    /// Juju makes a number of what looks like one.
    fn number(&self, name: &str) -> Result<Option<String>, AgentError> {
        match &self.given[name] {
            Value::Number(number) => Ok(Some(number.to_string())),
            Value::Null | Value::String(_) => Ok(self.text(name)?.map(str::to_owned)),
            _ => Err(AgentError::refused(format!("parameter `{name}` of {} must be a number", self.action), "")),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, AgentError> {
        match &self.given[name] {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            _ => Err(AgentError::refused(format!("parameter `{name}` of {} must be true or false", self.action), "")),
        }
    }
}

fn takes(action: &str) -> String {
    match known(action) {
        [] => "It takes none".to_owned(),
        names => format!("It takes: {}", names.join(", ")),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hostile_parameters_are_refused_by_name() {
        let kind = |value: Value| Params::of("create-backup", json!({"type": value})).and_then(|params| params.kind());
        #[rustfmt::skip]
        let table = [
            (json!("full"),               Ok(BackupKind::Full)),
            (json!(null),                 Ok(BackupKind::Full)),
            (json!("incremental"),        Ok(BackupKind::Incremental)),
            (json!("tar"),                Err("Invalid backup type: tar. Possible values: full, differential, incremental.")),
            (json!("full; rm -rf /"),     Err("Invalid backup type: full; rm -rf /. Possible values: full, differential, incremental.")),
            (json!("full\n"),             Err("parameter `type` of create-backup has a line break or control character")),
            (json!("x".repeat(1 << 20)),  Err("parameter `type` of create-backup is too long")),
            (json!(7),                    Err("parameter `type` of create-backup must be text")),
            (json!(["full"]),             Err("parameter `type` of create-backup must be text")),
        ];
        for (given, want) in table {
            assert_eq!(kind(given).map_err(|error| error.explain()), want.map_err(str::to_owned));
        }
    }

    #[test]
    fn an_unknown_parameter_is_named() {
        let error = Params::of("restore", json!({"backup_id": "x"})).err().unwrap();
        assert_eq!(
            error.explain(),
            "restore has no parameter `backup_id`. It takes: backup-id, restore-to-time, restore-to-lsn, restore-to-xid, restore-to-name, timeline, exclusive, dry-run, hold"
        );
    }

    #[test]
    fn numbers_may_come_as_such_and_flags_are_no_text() {
        let target = |value: Value| Params::of("restore", value).and_then(|params| params.target());
        let typed = target(json!({"restore-to-xid": 736, "timeline": "0x10", "exclusive": true})).unwrap();
        assert_eq!(
            (typed.xid.as_deref(), typed.timeline.as_deref(), typed.exclusive),
            (Some("736"), Some("0x10"), true)
        );
        let error = target(json!({"exclusive": "yes"})).err().unwrap();
        assert_eq!(error.explain(), "parameter `exclusive` of restore must be true or false");
        let error = target(json!({"restore-to-lsn": 3})).err().unwrap();
        assert_eq!(error.explain(), "parameter `restore-to-lsn` of restore must be text");
    }
}
