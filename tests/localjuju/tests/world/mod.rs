//! A home of its own for each test, charms written as shell scripts, and waiting with a deadline. Asserts nothing.
#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_methods, reason = "a test's own tools")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

pub const BINARY: &str = env!("CARGO_BIN_EXE_localjuju");
const PATIENCE: Duration = Duration::from_secs(30);

pub struct World {
    pub directory: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl World {
    /// With a model `m` whose failed hooks are retried quickly.
    pub fn new() -> Self {
        let world = Self::empty();
        world.ok(&["add-model", "m", "--config", "localjuju-retry-min=50ms", "--config", "localjuju-retry-max=100ms"]);
        world
    }

    /// With machines that have networks of their own; none where that is not permitted.
    pub fn with_namespaces() -> Option<Self> {
        let world = Self::empty();
        let said = world.juju(&["add-model", "m", "--config", "localjuju-network=namespaces"]);
        if said.code != 0 {
            assert!(said.stderr.contains("not permitted on this machine"), "{}", said.stderr);
            eprintln!("left out: {}", said.stderr);
            return None;
        }
        world.ok(&["model-config", "localjuju-retry-min=50ms", "localjuju-retry-max=100ms"]);
        Some(world)
    }

    pub fn empty() -> Self {
        // Short: unix sockets below it have 107 bytes for their whole path.
        let directory = tempfile::Builder::new().prefix("lj").tempdir_in("/tmp").unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { directory }
    }

    pub fn home(&self) -> PathBuf {
        self.directory.path().join("h")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env("LOCALJUJU_HOME", self.home()).env_remove("JUJU_MODEL");
        command
    }

    pub fn juju(&self, args: &[&str]) -> Said {
        self.command(args).output().unwrap().into()
    }

    /// Must succeed; answers standard output.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        let said = self.juju(args);
        assert_eq!(said.code, 0, "juju {args:?}: {}{}", said.stdout, said.stderr);
        said.stdout
    }

    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    pub fn status(&self) -> Value {
        self.json(&["status"])
    }

    pub fn unit_directory(&self, unit: &str) -> PathBuf {
        self.home().join("models/m/agents").join(format!("unit-{}", unit.replace('/', "-")))
    }

    /// Runs commands as a process on the unit would: in a fresh hook context.
    pub fn on_unit(&self, unit: &str, commands: &str) -> Said {
        let tools = self.home().join("models/m/tools").join(format!("unit-{}", unit.replace('/', "-")));
        let output = Command::new(tools.join("juju-exec")).args(["-u", unit, commands]).env_clear().output();
        output.unwrap().into()
    }

    #[track_caller]
    pub fn wait(&self, what: &str, mut ready: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            if Instant::now() > deadline {
                let log = self.juju(&["debug-log", "--limit", "60"]).stdout;
                panic!("waited in vain for: {what}\n{}\n{log}", self.juju(&["status"]).stdout);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Until no unit has anything to do, none is in error, and all have started.
    #[track_caller]
    pub fn settled(&self) {
        let mut calm = 0;
        self.wait("all units idle", || {
            calm = if self.units().iter().all(is_calm) { calm + 1 } else { 0 };
            calm >= 3
        });
    }

    pub fn units(&self) -> Vec<Value> {
        let status = self.status();
        let apps = status["applications"].as_object().unwrap().clone();
        apps.values()
            .flat_map(|app| app["units"].as_object().cloned().unwrap_or_default())
            .map(|(_, unit)| unit)
            .collect()
    }

    #[track_caller]
    pub fn wait_unit(&self, unit: &str, pointer: &str, expected: &str) {
        let app = unit.split('/').next().unwrap().to_owned();
        self.wait(&format!("{unit} {pointer} = {expected}"), || {
            self.status()["applications"][&app]["units"][unit].pointer(pointer).and_then(Value::as_str)
                == Some(expected)
        });
    }

    /// What the model says about a unit, `Null` when it is not there.
    pub fn unit(&self, unit: &str) -> Value {
        self.status()["applications"][unit.split('/').next().unwrap()]["units"][unit].clone()
    }

    pub fn address(&self, unit: &str) -> String {
        self.unit(unit)["public-address"].as_str().unwrap_or_default().to_owned()
    }

    pub fn charm(&self, name: &str) -> Charm {
        Charm::new(self.directory.path().join("src").join(name), name)
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.directory.path().join(file)).unwrap_or_default()
    }

    /// The hooks a unit has run so far: its charm writes them down.
    pub fn hooks(&self, unit: &str) -> Vec<String> {
        let file = format!("{}.hooks", unit.replace('/', "-"));
        self.read(&file).lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

fn is_calm(unit: &Value) -> bool {
    unit["juju-status"]["current"] == "idle" && unit["workload-status"]["current"] != "error"
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.home().exists() {
            return;
        }
        let models = self.juju(&["models", "--format", "json"]).stdout;
        let models: Value = serde_json::from_str(&models).unwrap_or_default();
        for model in models["models"].as_array().into_iter().flatten() {
            self.juju(&["destroy-model", "--no-prompt", "--force", model["short-name"].as_str().unwrap_or_default()]);
        }
        if self.home().exists() {
            self.juju(&["stop-daemon"]);
        }
    }
}

/// A charm on disk.
pub struct Charm {
    pub path: PathBuf,
    log: PathBuf,
}

impl Charm {
    fn new(path: PathBuf, name: &str) -> Self {
        fs::create_dir_all(&path).unwrap();
        let log = path.parent().unwrap().parent().unwrap().to_owned();
        let charm = Self { path, log };
        charm.file("metadata.yaml", &format!("name: {name}\nsummary: a test's charm\n")).dispatch("")
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.path.join(name), text).unwrap();
        self
    }

    /// Added to the metadata.
    pub fn meta(self, text: &str) -> Self {
        let before = fs::read_to_string(self.path.join("metadata.yaml")).unwrap();
        self.file("metadata.yaml", &format!("{before}{text}\n"))
    }

    /// The script, after a line that writes the hook down. `$DIR` is the test's directory.
    pub fn dispatch(self, script: &str) -> Self {
        let log = self.log.display().to_string();
        let head = format!(
            "#!/bin/sh\nDIR={log}\nUNIT=$(echo $JUJU_UNIT_NAME | tr / -)\nHOOK=$(basename $JUJU_DISPATCH_PATH)\n\
             case $JUJU_DISPATCH_PATH in hooks/*) echo $HOOK $JUJU_REMOTE_UNIT $JUJU_DEPARTING_UNIT >> $DIR/$UNIT.hooks;; esac\n"
        );
        let charm = self.file("dispatch", &format!("{head}{script}\n"));
        fs::set_permissions(charm.path.join("dispatch"), fs::Permissions::from_mode(0o755)).unwrap();
        charm
    }

    pub fn text(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

pub fn write_executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
