//! `list-backups` for programs: one document, whose schema is published as
//! docs/list-backups.schema.json. Every key is always there; what does not
//! apply is null.

use serde_json::{Value, json};

use super::listing::{Listing, Row};
use super::window;
use crate::model::{Backup, BackupId, FailedRun, TimelineHistory};

use super::Running;

/// Raised when a key changes its meaning or goes; new keys do not raise it.
const VERSION: u32 = 1;

pub fn backups(listing: &Listing) -> Value {
    let (mut backups, mut restores) = (Vec::new(), Vec::new());
    for row in listing.rows() {
        match row {
            Row::Finished(backup) => backups.push(finished(listing, backup)),
            Row::Failed(run) => backups.push(failed(run)),
            Row::Running(run) => backups.push(running(run)),
            Row::Restore(history) => restores.push(restore(history)),
        }
    }
    json!({
        "version": VERSION,
        "bucket": listing.bucket,
        "path": listing.path,
        "stanza": listing.stanza.as_str(),
        "backups": backups,
        "restores": restores,
        "recovery-window": window::json(&listing.window),
    })
}

fn finished(listing: &Listing, backup: &Backup) -> Value {
    let text = |value: Option<String>| value;
    json!({
        "backup-id": backup.id().to_string(),
        "type": backup.kind().as_str(),
        "status": if backup.page_errors { "failed" } else { "finished" },
        "reason": backup.page_errors.then_some("page checksum errors"),
        "percent": null,
        "unit": null,
        "label": backup.label.as_str(),
        "reference": text(listing.reference(backup).map(|id| id.to_string())),
        "size": backup.size,
        "repository-size": backup.repository_size,
        "started": BackupId::at(backup.started).to_string(),
        "finished": BackupId::at(backup.finished).to_string(),
        "duration-seconds": (backup.finished - backup.started).num_seconds().max(0),
        "wal-start": text(backup.wal_start.map(|wal| wal.to_string())),
        "wal-stop": text(backup.wal_stop.map(|wal| wal.to_string())),
        "lsn-start": text(backup.lsn_start.map(|lsn| lsn.to_string())),
        "lsn-stop": text(backup.lsn_stop.map(|lsn| lsn.to_string())),
        "timeline": backup.timeline().map(|timeline| timeline.0),
    })
}

fn failed(run: &FailedRun) -> Value {
    let mut value = no_set(run.id(), run.kind.as_str(), "failed");
    value["reason"] = json!(run.reason);
    value["unit"] = json!(run.unit);
    value["finished"] = json!(BackupId::at(run.finished).to_string());
    value["duration-seconds"] = json!((run.finished - run.started).num_seconds().max(0));
    value
}

fn running(running: &Running) -> Value {
    let mut value = no_set(BackupId::at(running.started), running.kind.as_str(), "in-progress");
    value["percent"] = json!(running.percent_hundredths.map(|hundredths| f64::from(hundredths) / 100.0));
    value
}

/// A run that left no backup set, or not yet.
fn no_set(id: BackupId, kind: &str, status: &str) -> Value {
    json!({
        "backup-id": id.to_string(),
        "type": kind,
        "status": status,
        "reason": null,
        "percent": null,
        "unit": null,
        "label": null,
        "reference": null,
        "size": null,
        "repository-size": null,
        "started": id.to_string(),
        "finished": null,
        "duration-seconds": null,
        "wal-start": null,
        "wal-stop": null,
        "lsn-start": null,
        "lsn-stop": null,
        "timeline": null,
    })
}

fn restore(history: &TimelineHistory) -> Value {
    json!({ "id": history.id().to_string(), "timeline": history.timeline.0 })
}

#[cfg(test)]
mod tests {
    use super::super::listing::tests::{everything, one_backup};
    use super::*;

    fn schema() -> Value {
        serde_json::from_str(include_str!("../../docs/list-backups.schema.json")).unwrap()
    }

    /// The part of JSON Schema that ours uses.
    fn check(schema: &Value, value: &Value, at: &str) {
        let types = &schema["type"];
        let is = |name: &str| match name {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{at}: type `{other}` in the schema"),
        };
        let fits = match types {
            Value::String(name) => is(name),
            Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
            _ => panic!("{at}: no type in the schema"),
        };
        assert!(fits, "{at}: {value} is not {types}");
        if let (Some(allowed), false) = (schema["enum"].as_array(), value.is_null()) {
            assert!(allowed.contains(value), "{at}: {value} is not one of {allowed:?}");
        }
        if let Some(fields) = value.as_object() {
            let known = schema["properties"].as_object().unwrap();
            assert_eq!(fields.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>(), "{at}: keys");
            assert_eq!(schema["required"].as_array().unwrap().len(), known.len(), "{at}: required");
            fields.iter().for_each(|(key, field)| check(&known[key], field, &format!("{at}.{key}")));
        }
        for (number, item) in value.as_array().into_iter().flatten().enumerate() {
            check(&schema["items"], item, &format!("{at}[{number}]"));
        }
    }

    #[test]
    fn the_document_and_its_schema_agree_to_the_key() {
        for listing in [one_backup(), everything()] {
            check(&schema(), &backups(&listing), "$");
        }
    }

    #[test]
    fn every_kind_of_entry() {
        let document = backups(&everything());
        let text = |key: &str| -> Vec<_> {
            let entries = document["backups"].as_array().unwrap();
            entries.iter().map(|entry| entry[key].to_string()).collect()
        };
        assert_eq!(text("status"), ["\"finished\"", "\"failed\"", "\"failed\"", "\"in-progress\""]);
        assert_eq!(text("percent"), ["null", "null", "null", "42.1"]);
        assert_eq!(text("timeline"), ["1", "null", "10", "null"]);
        assert_eq!(text("reference"), ["null", "null", "\"2026-11-22T03:00:00Z\"", "null"]);
        assert_eq!(document["restores"], json!([{ "id": "2026-11-22T04:30:00Z", "timeline": 10 }]));
    }
}
