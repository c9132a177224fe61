//! The model's log: one JSON line an entry, for `debug-log`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use serde_json::json;

use super::{Daemon, files, now};

impl Daemon {
    pub(crate) fn log(&self, model: &str, entity: &str, level: &str, module: &str, message: &str) {
        let directory = files::model_directory(&self.home, model);
        // A model that is gone gets no new files.
        if !directory.is_dir() {
            return;
        }
        let line = json!({"t": now(), "entity": entity, "level": level, "module": module, "message": message});
        let file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(directory.join("debug.log"));
        if let Ok(mut file) = file {
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}
