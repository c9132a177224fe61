//! Runs outside programs. The caller says what to run as data and interprets
//! the outcome; nothing is inherited from our own environment but `PATH`.
#![allow(clippy::disallowed_methods, reason = "this is the edge the lint keeps others away from")]

use std::ffi::OsString;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// The OS user that a program runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsUser(pub String);

/// A program to run, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    pub program: String,
    pub args: Vec<String>,
    /// The whole environment beside `PATH`.
    pub env: Vec<(String, String)>,
    /// Switch to this user (by `setpriv`, which keeps supplementary groups);
    /// only when we are root, otherwise we already are who we are.
    pub user: Option<OsUser>,
    pub stdin: Option<Vec<u8>>,
    pub cwd: Option<PathBuf>,
    /// Takes standard output and error instead of us: for programs that run
    /// long and say much.
    pub output_to: Option<PathBuf>,
    /// The program is killed when it has not ended by then.
    pub deadline: Option<Duration>,
    /// SIGKILL it when we die, so that nothing runs on that nobody watches.
    pub dies_with_us: bool,
}

impl Invocation {
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            user: None,
            stdin: None,
            cwd: None,
            output_to: None,
            deadline: None,
            dies_with_us: false,
        }
    }

    pub fn args<I: IntoIterator<Item = S>, S: Into<String>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, key: &str, value: impl Into<String>) -> Self {
        self.env.push((key.to_owned(), value.into()));
        self
    }

    pub fn as_user(mut self, user: &OsUser) -> Self {
        self.user = Some(user.clone());
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    pub fn dies_with_us(mut self) -> Self {
        self.dies_with_us = true;
        self
    }

    /// The argv that is really executed, with the user switch in front.
    /// `setpriv` sets the death signal after the change of user, which would
    /// clear one that was set before.
    pub fn argv(&self, we_are_root: bool) -> Vec<String> {
        let mut argv = Vec::new();
        let switch = self.user.as_ref().filter(|_| we_are_root);
        if switch.is_some() || self.dies_with_us {
            argv.push("setpriv".to_owned());
        }
        if let Some(OsUser(name)) = switch {
            argv.extend([format!("--reuid={name}"), format!("--regid={name}"), "--init-groups".to_owned()]);
        }
        if self.dies_with_us {
            argv.push("--pdeathsig=KILL".to_owned());
        }
        argv.push(self.program.clone());
        argv.extend(self.args.iter().cloned());
        argv
    }
}

/// Pid and argv of every process on this machine that tells.
pub fn running() -> Vec<(u32, Vec<String>)> {
    let pids = super::files::names_in(std::path::Path::new("/proc")).unwrap_or_default();
    let argv = |pid: u32| {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some(text.split_terminator('\0').map(str::to_owned).collect())
    };
    pids.iter().filter_map(|name| name.parse().ok()).filter_map(|pid| Some((pid, argv(pid)?))).collect()
}

/// Was the process started with these arguments and this environment?
pub fn runs_like(pid: u32, invocation: &Invocation) -> bool {
    let read = |name: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).split_terminator('\0').map(str::to_owned).collect::<Vec<_>>()
    };
    let (argv, environ) = (read("cmdline"), read("environ"));
    // A script's interpreter stands before it.
    argv.ends_with(&invocation.args)
        && invocation.env.iter().all(|(key, value)| environ.contains(&format!("{key}={value}")))
}

/// Asks a process that we started to end.
pub fn terminate(pid: u32) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGTERM);
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// What a program that ended left behind. A non-zero exit is an outcome, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub exit: Exit,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// The last line that says something, stderr before stdout, for a person to read.
    pub fn last_line(&self) -> &str {
        let last = |text: &'_ str| text.lines().map(str::trim).rfind(|line| !line.is_empty()).is_some();
        let source = if last(&self.stderr) { &self.stderr } else { &self.stdout };
        source.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no message")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("starting `{program}`")]
    Start { program: String, source: std::io::Error },
    #[error("talking to `{program}`")]
    Talk { program: String, source: std::io::Error },
    #[error("`{program}` did not end within {} s and was killed", after.as_secs())]
    Deadline { program: String, after: Duration },
}

/// Starts programs, looking them up in a `PATH` that is given, not inherited.
#[derive(Debug, Clone)]
pub struct Runner {
    path: OsString,
    root: bool,
}

impl Runner {
    pub fn new(path: impl Into<OsString>) -> Self {
        Self { path: path.into(), root: nix::unistd::geteuid().is_root() }
    }

    pub fn path(&self) -> &std::ffi::OsStr {
        &self.path
    }

    pub fn is_root(&self) -> bool {
        self.root
    }

    pub async fn run(&self, invocation: &Invocation) -> Result<Output, ProcessError> {
        self.start(invocation)?.wait().await
    }

    /// Starts it and lets the caller watch while it runs.
    pub fn start(&self, invocation: &Invocation) -> Result<Running, ProcessError> {
        let program = invocation.program.clone();
        let argv = invocation.argv(self.root);
        let mut command = Command::new(&argv[0]);
        command
            .args(&argv[1..])
            .env_clear()
            .env("PATH", &self.path)
            .envs(invocation.env.iter().map(|(key, value)| (key, value)))
            .stdin(if invocation.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .current_dir(invocation.cwd.as_deref().unwrap_or(std::path::Path::new("/")));
        let start = |source| ProcessError::Start { program: program.clone(), source };
        if let Some(path) = &invocation.output_to {
            let log = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(start)?;
            command.stdout(log.try_clone().map_err(start)?).stderr(log);
        }
        let child = command.spawn().map_err(start)?;
        Ok(Running { program, child, stdin: invocation.stdin.clone(), deadline: invocation.deadline })
    }
}

/// A program that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    program: String,
    child: Child,
    stdin: Option<Vec<u8>>,
    deadline: Option<Duration>,
}

impl Running {
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Has it not ended yet?
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGINT.
    pub fn interrupt(&self) {
        if let Some(pid) = self.pid() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGINT);
        }
    }

    /// Waits for its end; kills it at the deadline.
    pub async fn wait(mut self) -> Result<Output, ProcessError> {
        let program = self.program.clone();
        let talk = |source| ProcessError::Talk { program: program.clone(), source };
        let input = self.child.stdin.take().zip(self.stdin.take());
        let feed = async {
            if let Some((mut pipe, bytes)) = input {
                // A program may end without reading all: its exit tells why.
                let _ = pipe.write_all(&bytes).await;
            }
        };
        let deadline = self.deadline.unwrap_or(Duration::MAX);
        let both = async { tokio::join!(self.child.wait_with_output(), feed).0 };
        match tokio::time::timeout(deadline, both).await {
            Err(_) => Err(ProcessError::Deadline { program, after: deadline }),
            Ok(done) => done.map(output_of).map_err(talk),
        }
    }
}

fn output_of(output: std::process::Output) -> Output {
    use std::os::unix::process::ExitStatusExt;
    let exit = match (output.status.code(), output.status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    };
    Output {
        exit,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(invocation: Invocation) -> Result<Output, ProcessError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Runner::new("/usr/bin:/bin").run(&invocation))
    }

    #[test]
    fn the_environment_is_built_from_scratch() {
        let out = run(Invocation::new("env").env("TZ", "UTC")).unwrap();
        let mut lines: Vec<_> = out.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["PATH=/usr/bin:/bin", "TZ=UTC"]);
    }

    #[test]
    fn exit_code_and_signal_are_outcomes() {
        let exit = |script: &str| run(Invocation::new("sh").args(["-c", script])).unwrap().exit;
        assert_eq!(exit("exit 50"), Exit::Code(50));
        assert_eq!(exit("kill -9 $$"), Exit::Signal(9));
    }

    #[test]
    fn a_program_that_hangs_is_killed_at_its_deadline() {
        let error = run(Invocation::new("sleep").args(["600"]).within(Duration::from_millis(50))).unwrap_err();
        assert!(matches!(error, ProcessError::Deadline { .. }));
    }

    #[test]
    fn a_missing_program_says_its_name() {
        let error = run(Invocation::new("no-such-program")).unwrap_err();
        assert_eq!(
            crate::model::error_chain(&error),
            "starting `no-such-program`: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn input_reaches_the_program_and_arguments_are_never_a_shells() {
        let out = run(Invocation::new("cat").stdin("$(id); `id`")).unwrap();
        assert_eq!(out.stdout, "$(id); `id`");
    }

    #[test]
    fn the_switch_of_user_keeps_supplementary_groups() {
        let invocation =
            Invocation::new("pgbackrest").args(["info"]).as_user(&OsUser("postgres".into())).dies_with_us();
        assert_eq!(
            invocation.argv(true),
            [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--init-groups",
                "--pdeathsig=KILL",
                "pgbackrest",
                "info"
            ]
        );
        assert_eq!(invocation.argv(false), ["setpriv", "--pdeathsig=KILL", "pgbackrest", "info"]);
    }
}
