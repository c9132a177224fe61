//! Daemons where there is no systemd: a session of their own, a pid file with
//! the start time beside it, so that a recycled pid is never taken for ours.
#![allow(clippy::disallowed_methods, reason = "this is the edge the lint keeps others away from")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::{Service, ServiceError};
use crate::sys::files;
use crate::sys::process::Runner;

const POLL: Duration = Duration::from_millis(40);
/// A daemon that ends within this time did not start.
const SETTLE: Duration = Duration::from_millis(300);
/// Logs larger than this are set aside once at the next start.
const LOG_LIMIT: u64 = 32 << 20;

#[derive(Debug, Clone)]
pub struct Pidfile {
    runner: Runner,
    run: PathBuf,
}

/// `pid start-time`: both from `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Daemon {
    pid: i32,
    started: u64,
}

impl Pidfile {
    pub fn new(runner: Runner, run: PathBuf) -> Self {
        Self { runner, run }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.pid"))
    }

    fn daemon(&self, name: &str) -> Option<Daemon> {
        let text = files::read(&self.path(name)).ok().flatten()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let daemon = Daemon { pid: pid.parse().ok()?, started: started.parse().ok()? };
        (start_time(daemon.pid) == Some(daemon.started)).then_some(daemon)
    }

    pub fn is_running(&self, name: &str) -> bool {
        self.daemon(name).is_some()
    }

    fn definition(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.definition"))
    }

    /// A daemon that an older release started has no definition: it is another one.
    pub fn is_defined_as(&self, service: &Service) -> bool {
        files::read(&self.definition(service.name)).ok().flatten() == Some(definition_of(service))
    }

    pub async fn replace(&self, service: &Service) -> Result<(), ServiceError> {
        if let Some(daemon) = self.daemon(service.name) {
            let _ = kill(Pid::from_raw(daemon.pid), Signal::SIGKILL);
            self.ended(service.name, Duration::from_secs(10)).await;
        }
        self.start(service).await
    }

    pub async fn start(&self, service: &Service) -> Result<(), ServiceError> {
        if self.is_running(service.name) {
            return Ok(());
        }
        let name = service.name;
        let failed = |source: std::io::Error| ServiceError::Start { name, source: Box::new(source) };
        let log = open_log(&service.log).map_err(failed)?;
        files::write(&self.definition(name), definition_of(service).as_bytes(), &files::Access::Private)
            .map_err(failed)?;
        self.spawn(service, log).map_err(failed)?;
        tokio::time::sleep(SETTLE).await;
        if self.is_running(name) {
            return Ok(());
        }
        Err(ServiceError::Died { name, log: service.log.display().to_string(), last: last_line(&service.log) })
    }

    /// The child writes its own pid file before it becomes the program (pid and
    /// start time survive `exec`): a daemon that runs is on record, whenever we die.
    fn spawn(&self, service: &Service, log: File) -> std::io::Result<()> {
        const RECORD: &str = r#"echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" > "$0" && exec "$@""#;
        files::remove_file(&self.path(service.name))?;
        Command::new("setsid")
            .args(["sh", "-c", RECORD])
            .arg(self.path(service.name))
            .args(service.invocation.argv(self.runner.is_root()))
            .env_clear()
            .env("PATH", self.runner.path())
            .envs(service.invocation.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir(service.invocation.cwd.as_deref().unwrap_or(Path::new("/")))
            .spawn()
            .map(|_| ())
    }

    pub async fn stop(&self, name: &'static str, patience: Duration) -> Result<(), ServiceError> {
        let Some(daemon) = self.daemon(name) else { return self.remove(name) };
        let _ = kill(Pid::from_raw(daemon.pid), Signal::SIGTERM);
        if !self.ended(name, patience).await {
            let _ = killpg(Pid::from_raw(daemon.pid), Signal::SIGKILL);
            self.ended(name, Duration::from_secs(10)).await;
        }
        self.remove(name)
    }

    pub async fn kill(&self, name: &'static str) -> Result<(), ServiceError> {
        if let Some(daemon) = self.daemon(name) {
            let _ = kill(Pid::from_raw(daemon.pid), Signal::SIGKILL);
            self.ended(name, Duration::from_secs(10)).await;
        }
        self.remove(name)
    }

    async fn ended(&self, name: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.is_running(name) {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }

    pub fn reload(&self, name: &'static str) -> Result<(), ServiceError> {
        match self.daemon(name) {
            Some(daemon) => kill(Pid::from_raw(daemon.pid), Signal::SIGHUP)
                .map_err(|error| ServiceError::Start { name, source: Box::new(error) }),
            None => Ok(()),
        }
    }

    pub fn remove(&self, name: &'static str) -> Result<(), ServiceError> {
        let removed = files::remove_file(&self.path(name)).and_then(|()| files::remove_file(&self.definition(name)));
        removed.map_err(|error| ServiceError::Stop { name, source: Box::new(error) })
    }
}

/// A word a line: program and arguments, then the environment.
fn definition_of(service: &Service) -> String {
    let invocation = &service.invocation;
    let env = invocation.env.iter().map(|(key, value)| format!("{key}={value}"));
    let words = std::iter::once(invocation.program.clone()).chain(invocation.args.iter().cloned()).chain(env);
    words.map(|word| format!("{word:?}\n")).collect()
}

fn open_log(path: &Path) -> std::io::Result<File> {
    if path.metadata().is_ok_and(|meta| meta.len() > LOG_LIMIT) {
        files::rename(path, &path.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

fn last_line(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(4096)..]).into_owned();
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("(nothing)").to_owned()
}

/// Clock ticks after boot at which the process started; `None` when there is
/// no such process or only its zombie.
fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name stands in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Is there such a process (zombies do not count)?
pub fn is_alive(pid: i32) -> bool {
    start_time(pid).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::files::Access;
    use crate::sys::process::Invocation;

    fn service(dir: &Path, script: &str) -> Service {
        let invocation = Invocation::new("sh").args(["-c", script]);
        Service { name: "napper", invocation, log: dir.join("napper.log"), children: super::super::Children::EndWithIt }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn a_daemon_starts_once_and_ends_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let daemons = Pidfile::new(Runner::new("/usr/bin:/bin"), dir.path().to_owned());
        block_on(async {
            daemons.start(&service(dir.path(), "exec sleep 600")).await.unwrap();
            let first = daemons.daemon("napper").unwrap();
            daemons.start(&service(dir.path(), "exec sleep 600")).await.unwrap();
            assert_eq!(daemons.daemon("napper"), Some(first));
            daemons.stop("napper", Duration::from_secs(10)).await.unwrap();
            assert!(!is_alive(first.pid) && !daemons.is_running("napper"));
        });
    }

    #[test]
    fn one_that_is_asked_for_otherwise_is_told_apart_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let daemons = Pidfile::new(Runner::new("/usr/bin:/bin"), dir.path().to_owned());
        let (old, new) = (service(dir.path(), "exec sleep 600"), service(dir.path(), "exec sleep 601"));
        block_on(async {
            daemons.start(&old).await.unwrap();
            assert!(daemons.is_defined_as(&old) && !daemons.is_defined_as(&new));
            let first = daemons.daemon("napper").unwrap();
            daemons.replace(&new).await.unwrap();
            assert!(daemons.is_defined_as(&new) && !is_alive(first.pid) && daemons.is_running("napper"));
            daemons.stop("napper", Duration::from_secs(10)).await.unwrap();
        });
    }

    #[test]
    fn one_that_is_killed_leaves_what_it_had_started() {
        let dir = tempfile::tempdir().unwrap();
        let daemons = Pidfile::new(Runner::new("/usr/bin:/bin"), dir.path().to_owned());
        let child = dir.path().join("child");
        let script = format!("setsid sh -c 'echo $$ > {}; exec sleep 600' & wait", child.display());
        block_on(async {
            daemons.start(&service(dir.path(), &script)).await.unwrap();
            let pid: i32 = std::fs::read_to_string(&child).unwrap().trim().parse().unwrap();
            daemons.kill("napper").await.unwrap();
            assert!(!daemons.is_running("napper") && is_alive(pid));
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        });
    }

    #[test]
    fn one_that_ignores_sigterm_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let daemons = Pidfile::new(Runner::new("/usr/bin:/bin"), dir.path().to_owned());
        block_on(async {
            daemons.start(&service(dir.path(), "trap '' TERM; while :; do sleep 600; done")).await.unwrap();
            daemons.stop("napper", Duration::from_millis(100)).await.unwrap();
            assert!(!daemons.is_running("napper"));
        });
    }

    #[test]
    fn one_that_dies_at_once_says_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let daemons = Pidfile::new(Runner::new("/usr/bin:/bin"), dir.path().to_owned());
        let error = block_on(daemons.start(&service(dir.path(), "echo no such cluster >&2; exit 1"))).unwrap_err();
        assert!(error.to_string().ends_with("ends with: no such cluster"), "{error}");
    }

    #[test]
    fn a_recycled_pid_is_not_our_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let daemons = Pidfile::new(Runner::new("/usr/bin:/bin"), dir.path().to_owned());
        let own = std::process::id();
        files::write(&dir.path().join("napper.pid"), format!("{own} 1\n").as_bytes(), &Access::Public).unwrap();
        assert!(!daemons.is_running("napper"));
    }
}
