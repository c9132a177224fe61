//! Programs run and outputs kept: `juju`, `psql`, the agent's own command line.
//! Knows how to ask and to wait, nothing about backups.

use std::cell::Cell;
use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until `condition` holds; fails with `what` after `seconds`.
pub fn until(seconds: u64, what: &str, mut condition: impl FnMut() -> bool) {
    until_some(seconds, what, || condition().then_some(()));
}

/// Waits until there is something.
pub fn until_some<T>(seconds: u64, what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        match find() {
            Some(found) => return found,
            None if Instant::now() > deadline => panic!("not within {seconds} s: {what}"),
            None => std::thread::sleep(LOOK),
        }
    }
}

/// Does a check that fails by a panic hold? Nothing of it is printed: it is asked again and again.
pub fn holds(check: impl FnOnce()) -> bool {
    static HOOK: Once = Once::new();
    thread_local! { static QUIET: Cell<bool> = const { Cell::new(false) } }
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                loud(panic);
            }
        }));
    });
    QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(check));
    QUIET.set(false);
    outcome.is_ok()
}

/// What a program said.
#[derive(Debug, Clone)]
pub struct Said {
    pub good: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// Standard output of a program that must succeed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.good, "it failed: {}{}", self.stdout, self.stderr);
        self.stdout.trim_end().to_owned()
    }
}

/// How an action ended.
#[derive(Debug, Clone)]
pub struct Action {
    pub completed: bool,
    pub message: String,
    pub results: Value,
}

impl Action {
    fn read(said: &Said) -> Self {
        let document: Value = serde_json::from_str(&said.stdout).unwrap_or(Value::Null);
        let task = document.as_object().and_then(|units| units.values().next()).cloned().unwrap_or_default();
        Self {
            completed: task["status"] == "completed",
            message: match task["message"].as_str() {
                Some(message) => message.to_owned(),
                None if task.is_null() => format!("{}{}", said.stdout, said.stderr).trim().to_owned(),
                None => String::new(),
            },
            results: task["results"].clone(),
        }
    }

    /// The results of an action that must succeed.
    #[track_caller]
    pub fn ok(self) -> Results {
        assert!(self.completed, "the action failed: {}", self.message);
        Results(self.results)
    }

    /// The message of an action that must fail.
    #[track_caller]
    pub fn failed(self) -> String {
        assert!(!self.completed, "the action succeeded: {}", self.results);
        self.message
    }
}

#[derive(Debug, Clone)]
pub struct Results(Value);

impl Results {
    #[track_caller]
    pub fn get(&self, key: &str) -> String {
        self.find(key).unwrap_or_else(|| panic!("there is no `{key}` in {}", self.0))
    }

    pub fn find(&self, key: &str) -> Option<String> {
        self.0[key].as_str().map(ToOwned::to_owned)
    }

    /// Names of the results, without Juju's own.
    pub fn keys(&self) -> Vec<&str> {
        let own = ["return-code", "stdout", "stderr"];
        let keys = self.0.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        keys.filter(|key| !own.contains(key)).collect()
    }
}

/// An action that runs while the scenario goes on.
pub struct Running(std::thread::JoinHandle<Action>);

impl Running {
    pub fn is_over(&self) -> bool {
        self.0.is_finished()
    }

    pub fn end(self) -> Action {
        self.0.join().expect("the thread that runs the action")
    }
}

/// Runs programs for one home of localjuju and remembers all they said.
pub struct Shell {
    pub home: PathBuf,
    pub bin: PathBuf,
    outputs: Mutex<Vec<(String, String)>>,
}

impl Shell {
    pub fn new(home: PathBuf, bin: PathBuf) -> Self {
        Self { home, bin, outputs: Mutex::new(Vec::new()) }
    }

    pub fn juju(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(self.bin.join("localjuju"));
        self.keep(command.args(arguments).env("LOCALJUJU_HOME", &self.home), &arguments.join(" "))
    }

    /// A look at what Juju has, not kept: for conditions that are waited for.
    pub fn look(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(self.bin.join("localjuju"));
        command.args(arguments).args(["--format", "json"]).env("LOCALJUJU_HOME", &self.home);
        serde_json::from_str(&run(&mut command).stdout).unwrap_or_default()
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let said = self.juju(&[arguments, &["--format", "json"]].concat()).ok();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?} answers no JSON: {error}"))
    }

    pub fn action(&self, unit: &str, words: &[&str]) -> Action {
        Action::read(&self.juju(&[&["run", unit], words, &["--wait", "10m", "--format", "json"]].concat()))
    }

    /// Runs it in a thread; `'static` because scenarios share one world that never goes.
    pub fn start_action(&'static self, unit: &'static str, words: &[&str]) -> Running {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Running(std::thread::spawn(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.action(unit, &words)
        }))
    }

    /// `pg-backup-agent` as a person on the unit types it.
    pub fn agent(&self, command: &str, unit_dir: &Path, options: &[&str]) -> Said {
        let mut agent = Command::new(self.bin.join("pg-backup-agent"));
        self.keep(agent.arg(command).arg("--unit-dir").arg(unit_dir).args(options), command)
    }

    pub fn psql(&self, options: &[&str], password: Option<&str>, sql: &str) -> Said {
        let mut command = Command::new("psql");
        command.args(["-X", "-w", "-v", "ON_ERROR_STOP=1", "-Atqc", sql]).args(options);
        command.env("PGCONNECT_TIMEOUT", "5");
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        self.keep(&mut command, "psql")
    }

    fn keep(&self, command: &mut Command, about: &str) -> Said {
        let said = run(command);
        let mut outputs = self.outputs.lock().expect("outputs");
        outputs.push((about.to_owned(), format!("{}{}", said.stdout, said.stderr)));
        said
    }

    /// Everything that was said so far, with what was asked.
    pub fn outputs(&self) -> Vec<(String, String)> {
        self.outputs.lock().expect("outputs").clone()
    }
}

fn run(command: &mut Command) -> Said {
    let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let output = child.wait_with_output().expect("a child's outputs");
    Said {
        good: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn spawn(command: &mut Command) -> Child {
    let program = command.get_program().to_owned();
    command.spawn().unwrap_or_else(|error| panic!("starting {}: {error}", OsStr::to_string_lossy(&program)))
}
