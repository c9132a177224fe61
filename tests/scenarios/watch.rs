//! Processes and files, looked at from outside: who belongs to a unit, which
//! command lines there ever were.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process, as /proc shows it.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    /// Arguments, joined by blanks.
    pub line: String,
}

pub fn pids() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

pub fn processes() -> Vec<Process> {
    pids().into_iter().filter_map(look).collect()
}

fn look(pid: i32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let raw = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&raw).replace('\0', " ").trim().to_owned();
    (state != "Z").then_some(Process { pid, parent, line })
}

/// Processes that work in a folder, name it, or were told of it in their environment.
pub fn of_folder(folder: &Path) -> Vec<Process> {
    let name = folder.as_os_str().as_bytes();
    let below = |pid: i32, link: &str| {
        std::fs::read_link(format!("/proc/{pid}/{link}")).is_ok_and(|path| path.starts_with(folder))
    };
    let told = |pid: i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(name.len()).any(|part| part == name)
    };
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let mut found = processes();
    found.retain(|process| process.pid != own);
    found.retain(|Process { pid, line, .. }| {
        line.as_bytes().windows(name.len()).any(|part| part == name)
            || below(*pid, "cwd")
            || below(*pid, "exe")
            || told(*pid)
    });
    found
}

/// Ends one process as an out-of-memory killer does.
pub fn kill_hard(process: &Process) {
    signal(process, Signal::SIGKILL);
}

pub fn signal(process: &Process, signal: Signal) {
    kill(Pid::from_raw(process.pid), signal).expect("sending a signal");
}

/// Every command line that ever ran on this machine while it watches.
pub struct CommandLines {
    seen: Arc<Mutex<BTreeSet<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
}

impl CommandLines {
    pub fn watch() -> Self {
        let (seen, stop) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicBool::new(false)));
        let (into, until) = (Arc::clone(&seen), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let lines: Vec<_> =
                    pids().into_iter().filter_map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok()).collect();
                into.lock().expect("command lines").extend(lines);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { seen, stop }
    }

    pub fn seen(&self) -> BTreeSet<Vec<u8>> {
        self.seen.lock().expect("command lines").clone()
    }
}

impl Drop for CommandLines {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// All files below a folder, links not followed.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    files
}
