//! The charm as Juju runs it: which hook tools it calls, and the server that a hook leaves behind.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::process::Command;

use fakes::{Call, Script};
use object_storage::daemon;
use object_storage::home::Home;
use object_storage::keys::Keys;
use object_storage::server::faults::{self, Mode};
use object_storage::store::Store;
use serde_json::{Value, json};
use support::{ADDRESS, Client};
use tempfile::TempDir;

/// A unit: its charm directory and its storage. Dropping it ends the server.
struct Unit {
    dir: TempDir,
    home: Home,
    config: Value,
}

const RELATION: &str = "s3-credentials:7";

impl Unit {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("object-storage-charm-").tempdir().unwrap();
        fs::create_dir(dir.path().join("charm")).unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        let home = Home::new(dir.path().join("data"));
        let config = json!({"dialect": "v1", "fault": "none", "fault-rate": 65536, "s3-uri-style": "path",
            "region": "us-east-1", "publish-ca": true, "rotate-keys": 0});
        Self { dir, home, config }
    }

    fn set(&mut self, option: &str, value: impl Into<Value>) {
        self.config[option] = value.into();
    }

    fn storage(&self) -> Script {
        let kept = json!({"kind": "filesystem", "location": self.home.dir()}).to_string();
        Script::new()
            .any_order()
            .expect("storage-list", ["data", "--format=json"])
            .stdout(r#"["data/0"]"#)
            .expect("storage-get", ["-s", "data/0", "--format=json"])
            .stdout(kept)
    }

    /// What every hook asks and says.
    fn reconcile(&self, relations: &str, status: &str) -> Script {
        let network = json!({"bind-addresses": [{"addresses": [{"hostname": "", "value": ADDRESS, "cidr": ""}]}]});
        self.storage()
            .expect("config-get", ["--format=json"])
            .stdout(self.config.to_string())
            .expect("network-get", ["s3-credentials", "--format=json"])
            .stdout(network.to_string())
            .expect("open-port", ["*/tcp"])
            .expect("is-leader", ["--format=json"])
            .stdout("true")
            .repeat()
            .expect("relation-ids", ["s3-credentials", "--format=json"])
            .stdout(relations)
            .expect("application-version-set", ["--", "*"])
            .expect("status-set", ["active", "--", status])
    }

    fn related(&self, theirs: Value, ours: Value) -> Script {
        self.reconcile(&json!([RELATION]).to_string(), "https://127.23.4.1:*, 1 relation")
            .expect("relation-list", ["-r", RELATION, "--app", "--format=json"])
            .stdout("\"pg\"")
            .expect("relation-get", ["-r", RELATION, "--app", "-", "pg", "--format=json"])
            .stdout(theirs.to_string())
            .expect("relation-get", ["-r", RELATION, "--app", "-", "s3", "--format=json"])
            .stdout(ours.to_string())
    }

    fn dispatch(&self, path: &str, script: Script) -> Vec<Call> {
        let tools = script.install().unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_object-storage"))
            .current_dir(self.dir.path().join("charm"))
            .env_clear()
            .env("PATH", tools.env_path())
            .env("JUJU_CHARM_DIR", self.dir.path().join("charm"))
            .env("JUJU_DISPATCH_PATH", path)
            .env("JUJU_UNIT_NAME", "s3/0")
            .env("JUJU_RELATION_ID", RELATION)
            .output()
            .unwrap();
        assert!(out.status.success(), "{path}: {}", String::from_utf8_lossy(&out.stderr));
        let calls = tools.calls();
        tools.finish();
        calls
    }

    fn install(&self) {
        self.dispatch("hooks/install", self.reconcile("[]", "https://127.23.4.1:*, related to nobody"));
    }

    fn action(&self, name: &str, params: Value) -> Vec<String> {
        let script = self.storage().expect("action-get", ["--format=json"]).stdout(params.to_string());
        let calls = self.dispatch(&format!("actions/{name}"), script.expect("action-set", ["**"]));
        calls.into_iter().find(|call| call.program == "action-set").unwrap().args
    }

    fn client(&self) -> Client {
        Client::new(&self.home, Keys::read(&self.home).unwrap().unwrap())
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let _ = daemon::stop(&self.home);
    }
}

/// What was written to the databag.
fn written(calls: &[Call]) -> Value {
    let call = calls.iter().find(|call| call.program == "relation-set").expect("relation-set was called");
    serde_json::from_str(call.stdin.as_deref().unwrap()).unwrap()
}

const SET: [&str; 5] = ["-r", RELATION, "--app", "--file", "-"];

#[test]
fn without_storage_it_waits() {
    let unit = Unit::new();
    let script = Script::new()
        .expect("storage-list", ["data", "--format=json"])
        .stdout("[]")
        .expect("status-set", ["waiting", "--", "for the storage `data`"]);
    unit.dispatch("hooks/install", script);
}

#[test]
fn a_bad_option_is_named_in_the_status() {
    let mut unit = Unit::new();
    unit.set("dialect", "v2");
    let script = unit
        .storage()
        .expect("config-get", ["--format=json"])
        .stdout(unit.config.to_string())
        .expect("status-set", ["blocked", "--", "option `dialect` must be v0 or v1, not `v2`"]);
    unit.dispatch("hooks/config-changed", script);
}

#[test]
fn a_hook_leaves_a_server_behind_and_every_hook_revives_it() {
    let unit = Unit::new();
    unit.install();
    let (pid, port) = (daemon::pid(&unit.home).unwrap(), unit.home.port().unwrap());
    assert_eq!(unit.client().head("/none").status, 404);
    unit.install();
    assert_eq!(daemon::pid(&unit.home), Some(pid), "left alone when all is well");
    daemon::stop(&unit.home).unwrap();
    unit.install();
    assert_ne!(daemon::pid(&unit.home), Some(pid));
    assert_eq!(unit.home.port(), Some(port));
    // At `stop` the storage is gone already, so is every hook tool that knows of it.
    unit.dispatch("hooks/stop", Script::new());
    assert_eq!(daemon::pid(&unit.home), None);
    unit.dispatch("hooks/remove", Script::new());
}

#[test]
fn v0_publishes_plain_keys_once_a_bucket_is_asked_for() {
    let mut unit = Unit::new();
    unit.set("dialect", "v0");
    let nobody =
        unit.related(json!({}), json!({})).expect("relation-list", ["-r", RELATION, "--format=json"]).stdout("[]");
    unit.dispatch("hooks/s3-credentials-relation-created", nobody);
    let script = unit
        .related(json!({"bucket": "relation-7"}), json!({}))
        .expect("relation-list", ["-r", RELATION, "--format=json"])
        .stdout(r#"["pg/0"]"#)
        .expect("relation-set", SET)
        .stdin("*");
    let ours = written(&unit.dispatch("hooks/s3-credentials-relation-changed", script));
    let keys = Keys::read(&unit.home).unwrap().unwrap();
    let ca = json!([fs::read_to_string(unit.home.file("tls/ca.crt")).unwrap().trim()]).to_string();
    let expected = json!({
        "access-key": keys.access_key, "secret-key": keys.secret_key, "bucket": "relation-7",
        "data": r#"{"bucket":"relation-7"}"#, "region": "us-east-1", "s3-uri-style": "path", "tls-ca-chain": ca,
        "endpoint": format!("https://{ADDRESS}:{}", unit.home.port().unwrap()),
    });
    assert_eq!(ours, expected);
    assert_eq!(unit.client().head("/relation-7").status, 404, "the other side creates it");

    // What is published already is not written again; what is not any more is taken away.
    unit.set("publish-ca", false);
    unit.set("create-bucket", true);
    let script = unit
        .related(json!({"bucket": "relation-7"}), ours)
        .expect("relation-list", ["-r", RELATION, "--format=json"])
        .stdout(r#"["pg/0"]"#)
        .expect("relation-set", SET)
        .stdin(r#"{"tls-ca-chain":""}"#);
    unit.dispatch("hooks/config-changed", script);
    assert_eq!(unit.client().head("/relation-7").status, 200);
}

#[test]
fn v1_publishes_a_secret_and_rotates_it() {
    let mut unit = Unit::new();
    let asked = json!({"requested-secrets": r#"["access-key", "secret-key"]"#, "lib-version": "1.0"});
    let label = "s3-credentials.7.extra.secret";
    let script = unit
        .related(asked.clone(), json!({}))
        .expect("secret-add", ["--owner", "application", "--label", label, "--file", "*"])
        .stdout("secret:cq2tqb7mp25c7a1u9o2g\n")
        .expect("secret-grant", ["secret:cq2tqb7mp25c7a1u9o2g", "-r", RELATION])
        .expect("relation-set", SET)
        .stdin("*");
    let ours = written(&unit.dispatch("hooks/s3-credentials-relation-changed", script));
    let old = Keys::read(&unit.home).unwrap().unwrap();
    let names: Vec<_> = ours.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["endpoint", "lib-version", "region", "s3-uri-style", "secret-extra", "tls-ca-chain"]);

    let kept = serde_json::to_string(&old).unwrap();
    let get = ["secret:cq2tqb7mp25c7a1u9o2g", "--format=json"];
    let same = unit.related(asked.clone(), ours.clone()).expect("secret-get", get).stdout(&kept);
    unit.dispatch("hooks/update-status", same);

    let mut before = unit.client();
    unit.set("rotate-keys", 1);
    let rotated = unit
        .related(asked, ours.clone())
        .expect("secret-get", get)
        .stdout(&kept)
        .expect("secret-set", ["secret:cq2tqb7mp25c7a1u9o2g", "--file", "*"]);
    unit.dispatch("hooks/config-changed", rotated);
    assert_ne!(Keys::read(&unit.home).unwrap().unwrap(), old);
    support::wait_until("the old keys are refused", || before.head("/none").status == 403);

    let broken = unit
        .reconcile(&json!([RELATION]).to_string(), "https://127.23.4.1:*, related to nobody")
        .expect("relation-get", ["-r", RELATION, "--app", "-", "s3", "--format=json"])
        .stdout(ours.to_string())
        .expect("secret-remove", ["secret:cq2tqb7mp25c7a1u9o2g"]);
    unit.dispatch("hooks/s3-credentials-relation-broken", broken);
}

#[test]
fn faults_by_action_and_by_option() {
    let mut unit = Unit::new();
    unit.install();
    let port = unit.home.port().unwrap();
    assert_eq!(unit.action("fault", json!({"mode": "deny"})), ["mode=deny", "rate=65536"]);
    assert_eq!(unit.client().get("/none/x").status, 403);
    let playing = unit.reconcile("[]", "https://127.23.4.1:*, related to nobody, plays the fault `deny`");
    unit.dispatch("hooks/update-status", playing);

    unit.action("fault", json!({"mode": "stop"}));
    assert_eq!(daemon::pid(&unit.home), None);
    let playing = unit.reconcile("[]", "https://127.23.4.1:*, related to nobody, plays the fault `stop`");
    unit.dispatch("hooks/update-status", playing);
    assert_eq!(daemon::pid(&unit.home), None, "a stopped server is not revived");

    unit.action("fault", json!({"mode": "none"}));
    assert_eq!((unit.client().get("/none/x").status, unit.home.port()), (404, Some(port)));

    unit.set("fault", "unavailable");
    let playing = unit.reconcile("[]", "https://127.23.4.1:*, related to nobody, plays the fault `unavailable`");
    unit.dispatch("hooks/config-changed", playing);
    assert_eq!(unit.client().get("/none/x").status, 503);
    unit.action("fault", json!({"mode": "none"}));
    unit.install();
    assert_eq!(faults::asked(&unit.home).unwrap().mode, Mode::None, "the action's word holds");
}

#[test]
fn actions_work_on_objects() {
    let unit = Unit::new();
    unit.install();
    Store::visit(unit.home.dir()).unwrap().create_bucket("backups").unwrap();
    assert_eq!(
        unit.action("put-object", json!({"key": "a/b", "value": "hello"})),
        ["bucket=backups", "etag=5d41402abc4b2a76b9719d911017c592", "size=5"]
    );
    assert_eq!(unit.client().get("/backups/a/b").text(), "hello");
    assert_eq!(
        unit.action("list-objects", json!({"prefix": ""})),
        ["bucket=backups", "bytes=5", "count=1", r#"keys=["a/b"]"#]
    );
    unit.action("corrupt-object", json!({"key": "a/b", "how": "truncate"}));
    let got = unit.action("get-object", json!({"key": "a/b"}));
    assert_eq!(got, ["bucket=backups", "etag=5d41402abc4b2a76b9719d911017c592", "size=2", "value=he"]);
    let script = unit
        .storage()
        .expect("action-get", ["--format=json"])
        .stdout(r#"{"key": "none"}"#)
        .expect("action-fail", ["--", "there is no object `none` in `backups`"]);
    unit.dispatch("actions/get-object", script);
    let info = unit.action("get-s3-connection-info", json!({}));
    assert_eq!(info[1], format!("endpoint=https://{ADDRESS}:{}", unit.home.port().unwrap()));
}

#[test]
fn the_yaml_files_and_the_code_name_the_same_things() {
    let file = |name: &str| fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let top = |text: &str, indent: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(indent)?.strip_suffix(':').map(str::to_owned));
        lines.filter(|name| !name.starts_with(' ')).collect()
    };
    let options = top(&file("config.yaml"), "  ");
    #[rustfmt::skip]
    let read = ["bucket", "create-bucket", "path", "region", "s3-uri-style", "hostname", "delete-older-than-days",
        "storage-class", "dialect", "publish-ca", "rotate-keys", "fault", "fault-rate", "fsync", "log-requests"];
    assert_eq!(options, read);
    let actions = top(&file("actions.yaml"), "");
    let done = ["fault", "list-objects", "get-object", "put-object", "corrupt-object", "get-s3-connection-info"];
    assert_eq!(actions, done);
}
