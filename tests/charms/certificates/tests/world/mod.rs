//! A model under localjuju with the charm and a requirer that is a shell script. Waits with a deadline.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test's own tools")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_certificates");
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks in its first hook and in the action `ask`, each time with a new key; writes down what it is told.
const REQUIRER: &str = r#"#!/bin/sh
set -eu
unit=$DIR/$(echo "$JUJU_UNIT_NAME" | tr / -)
tell() {
    for id in $(relation-ids certificates); do
        relation-set -r "$id" certificate_signing_requests="$1"
    done
}
ask() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$unit.key" -out "$unit.csr" \
        -subj "/CN=${unit##*/}" -addext "subjectAltName=DNS:db.example,IP:127.23.4.1"
    tell "[{\"certificate_signing_request\": \"$(awk '{printf "%s\\n", $0}' "$unit.csr")\", \"ca\": false}]"
}
case $JUJU_DISPATCH_PATH in
    hooks/certificates-relation-created | actions/ask) ask ;;
    actions/babble) tell '[{"certificate_signing_request": "hello", "ca": false}]' ;;
    hooks/certificates-relation-changed)
        relation-get --app certificates "$JUJU_REMOTE_APP" > "$unit.new"
        mv "$unit.new" "$unit.told" ;;
esac
"#;

/// Dropping it takes the model away, and with it all processes and files.
pub struct World {
    dir: TempDir,
    juju: PathBuf,
}

impl World {
    pub fn new() -> Self {
        let bin = std::env::var_os("BIN_DIR").map_or_else(|| Path::new(BINARY).parent().unwrap().into(), PathBuf::from);
        let juju = bin.join("localjuju");
        assert!(juju.exists(), "{} is missing: run make test, or cargo build -p localjuju", juju.display());
        // Short: unix sockets below it have 107 bytes for their whole path.
        let dir = tempfile::Builder::new().prefix("ce").tempdir_in("/tmp").unwrap();
        let world = Self { dir, juju };
        world.lay_out();
        world.ok(&["add-model", "m"]);
        world
    }

    fn lay_out(&self) {
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.sh");
        said(Command::new(build).arg(self.path("certificates")).arg(BINARY).output().unwrap());
        let requirer = self.dir.path().join("pg");
        fs::create_dir(&requirer).unwrap();
        let metadata = "name: pg\nsummary: asks\nrequires:\n  certificates: {interface: tls-certificates}\n";
        fs::write(requirer.join("metadata.yaml"), metadata).unwrap();
        fs::write(requirer.join("actions.yaml"), "ask: {description: a new key}\nbabble: {description: no request}\n")
            .unwrap();
        let script = REQUIRER.replacen("set -eu", &format!("set -eu\nDIR={}", self.dir.path().display()), 1);
        fs::write(requirer.join("dispatch"), script).unwrap();
        fs::set_permissions(requirer.join("dispatch"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&self.juju);
        command.args(args).env("LOCALJUJU_HOME", self.dir.path().join("h")).env_remove("JUJU_MODEL");
        command.output().unwrap()
    }

    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        said(self.run(args))
    }

    /// What the task of an action became: `status`, `message`, `results`.
    pub fn action(&self, unit: &str, words: &[&str]) -> Value {
        let out = self.run(&[&["run", unit], words, &["--format", "json"]].concat());
        let answer: Value = serde_json::from_slice(&out.stdout).unwrap();
        answer[unit].clone()
    }

    /// One result of an action that must succeed.
    #[track_caller]
    pub fn result(&self, words: &[&str], key: &str) -> String {
        let task = self.action("certificates/0", words);
        assert_eq!(task["status"], "completed", "{task}");
        task["results"][key].as_str().unwrap().to_owned()
    }

    /// The words of an action that must fail.
    #[track_caller]
    pub fn failure(&self, words: &[&str]) -> String {
        let task = self.action("certificates/0", words);
        assert_eq!(task["status"], "failed", "{task}");
        task["message"].as_str().unwrap().to_owned()
    }

    pub fn status(&self) -> String {
        let status: Value = serde_json::from_str(&self.ok(&["status", "--format", "json"])).unwrap();
        let found = &status["applications"]["certificates"]["units"]["certificates/0"]["workload-status"];
        let [word, message] = ["current", "message"].map(|key| found[key].as_str().unwrap_or_default());
        format!("{word}: {message}")
    }

    #[track_caller]
    pub fn wait_status(&self, expected: &str) {
        self.wait(expected, || self.status() == expected);
    }

    #[track_caller]
    pub fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            if Instant::now() > deadline {
                let log = self.ok(&["debug-log", "--limit", "60"]);
                panic!("waited in vain for: {what}\n{}\n{log}", self.status());
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// How often the authority has run a hook.
    pub fn hooks(&self, name: &str) -> usize {
        let log = self.ok(&["debug-log", "--include", "certificates/0", "--limit", "1000"]);
        log.matches(&format!("ran \"{name}\" hook")).count()
    }

    /// What was last told to a unit, for the request that it has now.
    pub fn entry(&self, unit: &str) -> Option<Value> {
        let request = fs::read_to_string(self.path(&format!("{unit}.csr"))).ok()?;
        let mine = |entry: &Value| entry["certificate_signing_request"].as_str() == Some(request.trim());
        self.told(unit).into_iter().find(mine)
    }

    pub fn told(&self, unit: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(&format!("{unit}.told"))).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    #[track_caller]
    pub fn wait_entry(&self, unit: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let found = || self.entry(unit).filter(&holds);
        self.wait(&format!("{unit} is told of {what}"), || found().is_some());
        found().unwrap()
    }

    pub fn openssl(&self, args: &[&str]) -> String {
        said(Command::new("openssl").args(args).current_dir(self.dir.path()).output().expect("openssl is installed"))
    }
}

#[track_caller]
fn said(out: Output) -> String {
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

impl Drop for World {
    fn drop(&mut self) {
        if self.dir.path().join("h").exists() {
            self.run(&["destroy-model", "--no-prompt", "--force", "m"]);
        }
        if self.dir.path().join("h").exists() {
            self.run(&["stop-daemon"]);
        }
    }
}
