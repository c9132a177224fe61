//! Ends processes that were started below a directory of ours: found through /proc, never by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long processes get to end by themselves.
const PATIENCE: Duration = Duration::from_secs(3);
const MOST: Duration = Duration::from_secs(20);

/// Whose processes are meant.
pub(crate) struct Traces {
    /// Directories they have their cwd, program, arguments or open files in.
    pub(crate) directories: Vec<PathBuf>,
    /// Sets of `NAME=value` lines; all of one set stand in their environment.
    pub(crate) variables: Vec<Vec<String>>,
    /// Network namespaces, by inode, that nobody else is in.
    pub(crate) networks: Vec<u64>,
}

/// Processes never touched: this one, the asking client and all above it.
pub(crate) fn protected(client: Option<i32>) -> BTreeSet<i32> {
    let mut found = BTreeSet::from([std::process::id() as i32, 1]);
    let mut next = client;
    while let Some(pid) = next.filter(|pid| *pid > 1 && found.insert(*pid)) {
        next = parent(pid);
    }
    found
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name in brackets may contain anything, so count from its end.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn is_zombie(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().starts_with('Z')))
        .unwrap_or(true)
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn leaves_traces(pid: i32, traces: &Traces) -> bool {
    let base = PathBuf::from(format!("/proc/{pid}"));
    let below = |path: &Path| traces.directories.iter().any(|directory| path.starts_with(directory));
    let link = |name: &str| fs::read_link(base.join(name)).ok();
    if ["cwd", "exe"].iter().filter_map(|name| link(name)).any(|path| below(&path)) {
        return true;
    }
    let inside = |network: &u64| {
        let namespace = format!("net:[{network}]");
        link("ns/net").is_some_and(|found| found.as_os_str() == namespace.as_str())
    };
    if traces.networks.iter().any(inside) {
        return true;
    }
    let environment = fs::read(base.join("environ")).unwrap_or_default();
    let lines = environment.split(|byte| *byte == 0);
    let has = |wanted: &String| lines.clone().any(|line| line == wanted.as_bytes());
    if traces.variables.iter().any(|set| set.iter().all(has)) {
        return true;
    }
    let arguments = fs::read(base.join("cmdline")).unwrap_or_default();
    let named = traces.directories.iter().any(|directory| {
        let name = directory.as_os_str().as_bytes();
        arguments
            .windows(name.len().max(1) + 1)
            .any(|part| part.starts_with(name) && matches!(part.last(), Some(b'/' | 0)))
    });
    if named {
        return true;
    }
    let files = fs::read_dir(base.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|path| below(&path))
}

/// With their descendants: those may have left every trace behind.
fn find(traces: &Traces, protected: &BTreeSet<i32>) -> BTreeSet<i32> {
    let all = pids();
    let parents: BTreeMap<i32, i32> = all.iter().filter_map(|pid| Some((*pid, parent(*pid)?))).collect();
    let mut found: BTreeSet<i32> =
        all.iter().copied().filter(|pid| !protected.contains(pid) && leaves_traces(*pid, traces)).collect();
    loop {
        let more: Vec<i32> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid) && !protected.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    found.retain(|pid| !is_zombie(*pid));
    found
}

/// Asks them to end, then ends them. Returns those that are still there.
pub(crate) fn end_processes(traces: &Traces, protected: &BTreeSet<i32>) -> BTreeSet<i32> {
    let begun = Instant::now();
    let mut asked = BTreeSet::new();
    loop {
        let found = find(traces, protected);
        if found.is_empty() || begun.elapsed() > MOST {
            return found;
        }
        for pid in found {
            if begun.elapsed() > PATIENCE {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            } else if asked.insert(pid) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
                // A stopped process would never see the request.
                let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// As when the power fails: nobody is asked. Returns those that were there.
pub(crate) fn kill_processes(traces: &Traces, protected: &BTreeSet<i32>) -> BTreeSet<i32> {
    let found = find(traces, protected);
    for pid in &found {
        let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
    found
}

/// Kills one process of an earlier daemon, if it still is that process.
pub(crate) fn kill_leftover(pid: i32, context: &str) {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mark = format!("JUJU_CONTEXT_ID={context}");
    if environment.split(|byte| *byte == 0).any(|line| line == mark.as_bytes()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}
