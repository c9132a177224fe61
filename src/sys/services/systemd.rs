//! Services under systemd: one unit file each, rendered from charm/systemd.
//! What systemd knows (restart, logs, limits) is left to systemd.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Children, Service, ServiceError};
use crate::sys::files::{self, Access};
use crate::sys::process::{self, Invocation, OsUser, Runner};

/// Whoever starts a service, it is the same: the PATH of a person's shell is not
/// the machine's.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const TEMPLATE: &str = include_str!("../../../charm/systemd/service.in");

#[derive(Debug, Clone)]
pub struct Systemd {
    runner: Runner,
    prefix: String,
    units: PathBuf,
}

impl Systemd {
    /// `prefix` is unique on the machine, e.g. `pg-backup-agent-postgresql-0`.
    pub fn new(runner: Runner, prefix: String) -> Self {
        Self { runner, prefix, units: PathBuf::from("/etc/systemd/system") }
    }

    fn unit(&self, name: &str) -> String {
        format!("{}-{name}.service", self.prefix)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.units.join(self.unit(name))
    }

    async fn systemctl(&self, args: &[&str]) -> Result<bool, super::super::process::ProcessError> {
        let invocation = Invocation::new("systemctl").args(args.iter().copied()).within(Duration::from_secs(180));
        self.runner.run(&invocation).await.map(|out| out.success())
    }

    pub async fn is_running(&self, name: &'static str) -> bool {
        self.systemctl(&["is-active", "--quiet", &self.unit(name)]).await.unwrap_or(false)
    }

    pub async fn start(&self, service: &Service) -> Result<(), ServiceError> {
        let name = service.name;
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ServiceError::Start { name, source };
        let text = render(service, PATH);
        if files::write(&self.file(name), text.as_bytes(), &Access::Public).map_err(|e| failed(Box::new(e)))? {
            self.systemctl(&["daemon-reload"]).await.map_err(|e| failed(Box::new(e)))?;
        }
        match self.systemctl(&["enable", "--now", &self.unit(name)]).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ServiceError::Died {
                name,
                log: service.log.display().to_string(),
                last: format!("see journalctl -u {}", self.unit(name)),
            }),
            Err(error) => Err(failed(Box::new(error))),
        }
    }

    /// The process itself is asked: its unit file may be newer than it is.
    pub async fn is_defined_as(&self, service: &Service) -> bool {
        let show = ["show", "--property=MainPID", "--value", &self.unit(service.name)];
        let invocation = Invocation::new("systemctl").args(show).within(Duration::from_secs(30));
        let Ok(output) = self.runner.run(&invocation).await else { return false };
        let Ok(pid) = output.stdout.trim().parse() else { return false };
        process::runs_like(pid, &service.invocation)
    }

    /// systemd starts it again by itself after the kill (`Restart=always`), as
    /// the unit file says by then.
    pub async fn replace(&self, service: &Service) -> Result<(), ServiceError> {
        let name = service.name;
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ServiceError::Start { name, source };
        let text = render(service, PATH);
        files::write(&self.file(name), text.as_bytes(), &Access::Public).map_err(|e| failed(Box::new(e)))?;
        self.systemctl(&["daemon-reload"]).await.map_err(|e| failed(Box::new(e)))?;
        let kill = ["kill", "--kill-who=main", "--signal=KILL", &self.unit(name)];
        self.systemctl(&kill).await.map_err(|e| failed(Box::new(e)))?;
        self.start(service).await
    }

    /// It would start again by itself (`Restart=always`, after a pause): it is stopped at once.
    pub async fn kill(&self, name: &'static str) -> Result<(), ServiceError> {
        let failed = |error| ServiceError::Stop { name, source: Box::new(error) };
        if !files::exists(&self.file(name)) {
            return Ok(());
        }
        let kill = ["kill", "--kill-who=main", "--signal=KILL", &self.unit(name)];
        self.systemctl(&kill).await.map_err(failed)?;
        self.stop(name, Duration::ZERO).await
    }

    pub async fn stop(&self, name: &'static str, _patience: Duration) -> Result<(), ServiceError> {
        // TimeoutStopSec in the unit file bounds it. `disable` too: a machine
        // that reboots in the middle of a restore must not start it behind our back.
        if !files::exists(&self.file(name)) {
            return Ok(());
        }
        let stopped = self.systemctl(&["disable", "--now", &self.unit(name)]).await;
        stopped.map_err(|error| ServiceError::Stop { name, source: Box::new(error) })?;
        match self.is_running(name).await {
            true => Err(ServiceError::Stop { name, source: "systemd says it still runs".into() }),
            false => Ok(()),
        }
    }

    pub async fn reload(&self, name: &'static str) -> Result<(), ServiceError> {
        match self.systemctl(&["reload", &self.unit(name)]).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ServiceError::Start { name, source: "systemctl reload was refused".into() }),
            Err(error) => Err(ServiceError::Start { name, source: Box::new(error) }),
        }
    }

    pub async fn remove(&self, name: &'static str) -> Result<(), ServiceError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ServiceError::Stop { name, source };
        files::remove_file(&self.file(name)).map_err(|e| failed(Box::new(e)))?;
        self.systemctl(&["daemon-reload"]).await.map_err(|e| failed(Box::new(e)))?;
        Ok(())
    }
}

/// Fills the template. Values are quoted as systemd reads them.
fn render(service: &Service, path: &str) -> String {
    let invocation = &service.invocation;
    let user = invocation.user.as_ref().map_or("root", |OsUser(name)| name);
    let program = absolute(&invocation.program, path);
    let exec: Vec<_> = std::iter::once(&program).chain(&invocation.args).map(|word| quoted(word)).collect();
    let mut env = vec![format!("Environment={}", quoted(&format!("PATH={path}")))];
    env.extend(invocation.env.iter().map(|(key, value)| format!("Environment={}", quoted(&format!("{key}={value}")))));
    TEMPLATE
        .replace("@NAME@", service.name)
        .replace("@USER@", user)
        .replace("@EXEC@", &exec.join(" "))
        .replace("@ENVIRONMENT@", &env.join("\n"))
        // KillMode=mixed would take PostgreSQL along when Patroni is replaced.
        .replace("@KILL@", if service.children == Children::OutliveIt { "process" } else { "mixed" })
        .replace("@LOG@", &service.log.display().to_string())
}

/// systemd wants absolute programs.
fn absolute(program: &str, path: &str) -> String {
    path.split(':')
        .map(|folder| Path::new(folder).join(program))
        .find(|candidate| files::exists(candidate))
        .map_or_else(|| program.to_owned(), |found| found.display().to_string())
}

fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_file_is_rendered_with_quoted_words() {
        let invocation =
            Invocation::new("etcd").args(["--name", "a b\"%$"]).env("TZ", "UTC").as_user(&OsUser("postgres".into()));
        let log = "/u/log/etcd.log".into();
        let service = Service { name: "etcd", invocation, log, children: Children::OutliveIt };
        let text = render(&service, "/nowhere");
        assert!(text.contains("User=postgres\n"), "{text}");
        assert!(text.contains("ExecStart=\"etcd\" \"--name\" \"a b\\\"%%$$\"\n"), "{text}");
        assert!(text.contains("Environment=\"PATH=/nowhere\"\nEnvironment=\"TZ=UTC\"\n"), "{text}");
        assert!(text.contains("append:/u/log/etcd.log"), "{text}");
        assert!(text.contains("KillMode=process\n"), "{text}");
        assert!(!text.contains('@'), "{text}");
    }
}
