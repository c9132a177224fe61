//! The controls of a running server: which fault it plays, and which keys count. Files, watched.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::home::{Home, replace};
use crate::keys::Keys;

const FAULT: &str = "fault.json";
const APPLIED: &str = "fault.applied";
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SLOW_RATE: u64 = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    None,
    /// Nobody listens: connection refused.
    Refuse,
    /// No process at all. Played by the charm, which then does not start the server again.
    Stop,
    /// Connections are accepted, bytes are not.
    Stall,
    /// 403 for everything.
    Deny,
    /// 507 for everything that would store.
    Full,
    /// So many bytes a second, over all connections.
    Slow,
    /// 503 for everything.
    Unavailable,
}

impl FromStr for Mode {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_json::from_value(text.into()).map_err(|_| {
            anyhow::anyhow!("a fault is one of none, refuse, stop, stall, deny, full, slow, unavailable, not `{text}`")
        })
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub mode: Mode,
    /// Bytes a second in the mode `slow`.
    pub rate: u64,
    /// Counts up with each change, so that the one who made it sees when it holds.
    pub serial: u64,
}

impl Default for Fault {
    fn default() -> Self {
        Self { mode: Mode::None, rate: SLOW_RATE, serial: 0 }
    }
}

/// The fault that is asked for.
pub fn asked(home: &Home) -> io::Result<Fault> {
    Ok(home.read_json(FAULT)?.unwrap_or_default())
}

/// Asks for another one; 0 = the usual rate.
pub fn ask(home: &Home, mode: Mode, rate: u64) -> io::Result<Fault> {
    let rate = if rate == 0 { SLOW_RATE } else { rate };
    let fault = Fault { mode, rate, serial: asked(home)?.serial + 1 };
    home.write_json(FAULT, &fault, 0o644)?;
    Ok(fault)
}

#[must_use]
pub fn is_applied(home: &Home, fault: &Fault) -> bool {
    fs::read_to_string(home.file(APPLIED)).is_ok_and(|serial| serial == fault.serial.to_string())
}

pub(super) fn applied(home: &Home, fault: &Fault) -> io::Result<()> {
    replace(&home.file(APPLIED), fault.serial.to_string().as_bytes(), 0o644)
}

pub(super) struct Control {
    pub(super) fault: watch::Receiver<Fault>,
    pub(super) keys: watch::Receiver<Keys>,
}

/// Follows both files from now on.
pub(super) async fn watch(home: &Home) -> io::Result<Control> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "no keys");
    let (fault_sender, fault) = watch::channel(asked(home)?);
    let (keys_sender, keys) = watch::channel(Keys::read(home)?.ok_or_else(missing)?);
    let home = home.clone();
    tokio::spawn(async move {
        let mut seen = (identity(&home, FAULT), identity(&home, "keys.json"));
        // Once at the start: the files may have changed after they were first read.
        let mut first = true;
        loop {
            let now = (identity(&home, FAULT), identity(&home, "keys.json"));
            // A file that cannot be read at this moment leaves things as they are.
            if (first || now.0 != seen.0)
                && let Ok(fault) = asked(&home)
            {
                fault_sender.send_if_modified(|old| std::mem::replace(old, fault.clone()) != fault);
            }
            if (first || now.1 != seen.1)
                && let Ok(Some(keys)) = Keys::read(&home)
            {
                keys_sender.send_replace(keys);
            }
            (seen, first) = (now, false);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    Ok(Control { fault, keys })
}

fn identity(home: &Home, name: &str) -> Option<(u64, u64, i64, i64)> {
    let file = fs::metadata(home.file(name)).ok()?;
    Some((file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}
