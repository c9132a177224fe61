//! The server as a process that outlives the hook that started it: start, stop, is it there.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::home::Home;

const START_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const LOG_MAX: u64 = 8 << 20;

/// The server's pid, if it runs. The lock decides, not the number: numbers are used again.
#[must_use]
pub fn pid(home: &Home) -> Option<i32> {
    let file = File::open(home.file("server.pid")).ok()?;
    match file.try_lock_shared() {
        Err(fs::TryLockError::WouldBlock) => io::read_to_string(&file).ok()?.trim().parse().ok(),
        _ => None,
    }
}

/// Starts `program serve` on this home and waits until it listens (or refuses, when that is its fault).
pub fn start(home: &Home, program: &Path) -> Result<()> {
    if pid(home).is_some() {
        return Ok(());
    }
    let _ = fs::remove_file(home.file("ready"));
    let log = log(home).context("opening the server's log")?;
    let mut child = Command::new(program)
        .args(["serve", "--detach", "--config"])
        .arg(home.server_config())
        .current_dir("/")
        // Juju waits for whoever holds a hook's standard streams.
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A server is no hook: a variable kept by it must not make it one.
        .env_clear()
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let wanted = child.id().to_string();
    let deadline = Instant::now() + START_WITHIN;
    loop {
        if fs::read_to_string(home.file("ready")).is_ok_and(|pid| pid == wanted) {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("the server ended at its start ({status}): {}", last_line(home));
        }
        if Instant::now() > deadline {
            bail!("the server is not up after {} s: {}", START_WITHIN.as_secs(), last_line(home));
        }
        sleep(LOOK_EVERY);
    }
}

/// Ends it, by force when it does not go.
pub fn stop(home: &Home) -> Result<()> {
    let mut signal = Signal::SIGTERM;
    let mut deadline = Instant::now() + STOP_WITHIN;
    let mut asked = None;
    while let Some(pid) = pid(home) {
        if asked != Some((pid, signal)) {
            match kill(Pid::from_raw(pid), signal) {
                Ok(()) | Err(nix::errno::Errno::ESRCH) => asked = Some((pid, signal)),
                Err(err) => bail!("ending the server (pid {pid}): {err}"),
            }
        }
        if Instant::now() > deadline {
            if signal == Signal::SIGKILL {
                bail!("the server (pid {pid}) does not end");
            }
            (signal, deadline) = (Signal::SIGKILL, Instant::now() + STOP_WITHIN);
        }
        sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Waits for something that the server is about to do.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + STOP_WITHIN;
    while !holds() {
        if Instant::now() > deadline {
            bail!("waited {} s in vain: {what}", STOP_WITHIN.as_secs());
        }
        sleep(LOOK_EVERY);
    }
    Ok(())
}

fn log(home: &Home) -> io::Result<File> {
    let path = home.file("server.log");
    if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_MAX) {
        fs::rename(&path, home.file("server.log.1"))?;
    }
    File::options().create(true).append(true).open(path)
}

fn last_line(home: &Home) -> String {
    let log = fs::read_to_string(home.file("server.log")).unwrap_or_default();
    log.lines().last().unwrap_or("its log is empty").to_owned()
}
