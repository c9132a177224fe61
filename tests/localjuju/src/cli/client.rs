//! The way to the daemon: finds its home, starts it when it is not there, sends one call, reads one answer.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::api::Call;
use crate::daemon::{files, socket};

const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `LOCALJUJU_HOME`; else for root a place that other users may pass through (unlike /root), else the user's own.
pub(super) fn home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("LOCALJUJU_HOME").filter(|home| !home.is_empty()) {
        return Ok(std::path::absolute(home)?);
    }
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/localjuju"));
    }
    match env::var_os("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(PathBuf::from(home).join(".local/share/localjuju")),
        None => Ok(PathBuf::from("/var/lib/localjuju")),
    }
}

/// Our own binary, also after it was rebuilt under us.
fn program() -> Result<PathBuf> {
    let path = env::current_exe()?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or(path.clone(), PathBuf::from))
}

pub(super) fn serve() -> Result<()> {
    let path = env::var("PATH").ok().filter(|path| !path.is_empty()).unwrap_or_else(|| SYSTEM_PATH.to_owned());
    let mut parts: Vec<&str> = path.split(':').collect();
    for part in SYSTEM_PATH.split(':') {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    crate::daemon::serve(&home()?, &program()?, &parts.join(":"))
}

fn start(home: &Path) -> Result<()> {
    files::make_directory(home).with_context(|| format!("making {}", home.display()))?;
    files::check_socket_path(&socket(home))?;
    let log = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(home.join("daemon.log"))?;
    let path = env::var("PATH").unwrap_or_else(|_| SYSTEM_PATH.to_owned());
    // Neither our files nor our environment, directory or session: it outlives us.
    Command::new(program()?)
        .arg("daemon")
        .env_clear()
        .env("PATH", path)
        .env("LOCALJUJU_HOME", home)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting the daemon")?;
    Ok(())
}

fn connect(home: &Path) -> Result<UnixStream> {
    let path = socket(home);
    if let Ok(stream) = UnixStream::connect(&path) {
        return Ok(stream);
    }
    start(home)?;
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut restart = Instant::now() + Duration::from_secs(6);
    loop {
        if let Ok(stream) = UnixStream::connect(&path) {
            return Ok(stream);
        }
        if Instant::now() > restart {
            // The one we started may have lost against one that was just ending.
            start(home)?;
            restart = deadline;
        }
        if Instant::now() > deadline {
            bail!("the daemon does not answer; see {}", home.join("daemon.log").display());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn once(home: &Path, call: &Call) -> Result<Option<String>> {
    let mut stream = connect(home)?;
    let mut text = serde_json::to_vec(call)?;
    text.push(b'\n');
    if stream.write_all(&text).is_err() {
        return Ok(None);
    }
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line) {
        Ok(0) | Err(_) => Ok(None),
        Ok(_) => Ok(Some(line)),
    }
}

pub(super) fn ask(call: &Call) -> Result<Value> {
    let home = home()?;
    // A daemon that was just ending did not take the call: the next one does.
    let line = match once(&home, call)? {
        Some(line) => Some(line),
        None => once(&home, call)?,
    };
    let mut reply: Value = serde_json::from_str(&line.context("the daemon hung up")?)?;
    if let Some(text) = reply.get("error").and_then(Value::as_str) {
        bail!("{text}");
    }
    Ok(reply.get_mut("ok").map(Value::take).unwrap_or_default())
}

/// After the last model's end: until the daemon is gone with its files.
pub(super) fn await_end(pid: i64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let there = || {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    };
    while there() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
}
