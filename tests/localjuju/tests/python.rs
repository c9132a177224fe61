//! Charms that were not written here: one on Canonical's `ops`, driven by their test client `jubilant`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod world;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use world::{World, write_executable};

/// A Python that has `ops` and `jubilant`.
fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = std::env::var_os("LOCALJUJU_PYTHON").map_or(own, PathBuf::from);
    let good = Command::new(&python).args(["-c", "import ops, jubilant"]).output().is_ok_and(|output| output.status.success());
    assert!(good, "{} has no `ops` and `jubilant`: run `make deps`, or name a Python that has in LOCALJUJU_PYTHON", python.display());
    python
}

const METADATA: &str = "\
name: probe
type: charm
summary: a charm on ops
provides: {out: {interface: probe}}
requires: {in: {interface: probe}}
peers: {peers: {interface: probe-peers}}
storage: {data: {type: filesystem}}
config: {options: {greeting: {type: string, default: hello}, user: {type: secret}}}
actions:
  greet: {description: says it, params: {who: {type: string, default: you}, times: {type: integer, minimum: 1}}, required: [who], additionalProperties: false}
  break: {description: fails politely}
  crash: {description: fails badly}
";

const CHARM: &str = r#"
import json, pathlib
import ops

class Probe(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        on = self.on
        for event in (on.install, on.start, on.config_changed, on.leader_elected, on.update_status, on.data_storage_attached,
                      on.secret_changed, on["in"].relation_changed, on["out"].relation_joined, on["peers"].relation_changed):
            framework.observe(event, self._reconcile)
        framework.observe(on.greet_action, self._greet)
        framework.observe(on.break_action, lambda event: event.fail("no luck"))
        framework.observe(on.crash_action, self._crash)

    def _reconcile(self, event):
        if isinstance(event, ops.RelationJoinedEvent) and self.unit.is_leader():
            secret = self.app.add_secret({"password": "s3cret"}, label="out")
            secret.grant(event.relation)
            event.relation.data[self.app]["uri"] = secret.id
        if isinstance(event, ops.StartEvent):
            self.unit.open_port("tcp", 8080)
            self.unit.set_workload_version("1.2.3")
        told = []
        for relation in self.model.relations["in"]:
            uri = relation.data[relation.app].get("uri") if relation.app else None
            if uri:
                told.append(self.model.get_secret(id=uri).get_content()["password"])
        try:
            uri = self.config.get("user")
            user = self.model.get_secret(id=uri).get_content(refresh=True)["token"] if uri else "none"
        except ops.ModelError as fault:
            self.unit.status = ops.BlockedStatus(f"cannot read the secret: {fault}")
            return
        address = self.model.get_binding("peers").network.bind_address
        assert str(address).startswith("127."), address
        if self.model.storages["data"]:
            location = self.model.storages["data"][0].location
            pathlib.Path(location, "seen").write_text("x")
        self.unit.status = ops.ActiveStatus(f"{self.config['greeting']} user={user} told={','.join(told)} units={self.app.planned_units()}")

    def _greet(self, event):
        event.log("greeting")
        event.set_results({"said": f"{self.config['greeting']} {event.params['who']}", "times": event.params.get("times", 0)})

    def _crash(self, event):
        raise RuntimeError("boom")

ops.main(Probe)
"#;

const DRIVER: &str = r#"
import pathlib, sys
import jubilant

juju_binary, charm = sys.argv[1:]
juju = jubilant.Juju(cli_binary=juju_binary, wait_timeout=60)
juju.add_model("probing", config={"update-status-hook-interval": "1m"})
assert juju.version().major == 3
quick = dict(delay=0.1, successes=2)
juju.deploy(pathlib.Path(charm), "one", config={"greeting": "hi"}, num_units=2)
juju.deploy(pathlib.Path(charm), "two")
juju.wait(jubilant.all_active, error=jubilant.any_error, **quick)
juju.wait(jubilant.all_agents_idle, **quick)

status = juju.status()
assert status.model.name == "probing" and status.apps["one"].version == "1.2.3"
assert status.apps["one"].units["one/0"].open_ports == ["8080/tcp"]
assert status.apps["one"].units["one/0"].leader and not status.apps["one"].units["one/1"].leader
assert status.apps["one"].app_status.message == "hi user=none told= units=2"
assert set(status.machines) == {"0", "1", "2"}
assert status.storage.storage["data/0"].kind == "filesystem"

assert juju.config("one") == {"greeting": "hi"}
juju.config("one", {"greeting": "ahoy"})
juju.wait(lambda status: all(u.workload_status.message.startswith("ahoy") for u in status.apps["one"].units.values()), **quick)

uri = juju.add_secret("token", {"token": "abc"})
juju.config("two", {"user": uri})
juju.wait(lambda status: jubilant.all_blocked(status, "two"), **quick)
assert "permission denied" in juju.status().apps["two"].app_status.message
juju.grant_secret("token", "two")
juju.config("two", {"greeting": "again"})
juju.wait(lambda status: "user=abc" in status.apps["two"].app_status.message, **quick)
juju.update_secret("token", {"token": "def"}, info="new")
juju.wait(lambda status: "user=def" in status.apps["two"].app_status.message, **quick)
shown = juju.show_secret("token", reveal=True)
assert shown.content == {"token": "def"} and shown.revision == 2 and shown.description == "new"
assert uri.unique_identifier in [secret.uri.unique_identifier for secret in juju.secrets()]

juju.integrate("one:out", "two:in")
juju.wait(lambda status: "told=s3cret" in status.apps["two"].app_status.message, **quick)
assert juju.show_unit("two/0").relation_info

task = juju.run("one/leader", "greet", {"who": "me", "times": 2})
assert task.results == {"said": "ahoy me", "times": "2"} and task.success and task.log, task
try:
    juju.run("one/0", "break")
    raise SystemExit("break did not fail")
except jubilant.TaskError as fault:
    assert fault.task.status == "failed" and fault.task.message == "no luck", fault.task
try:
    juju.run("one/0", "crash")
    raise SystemExit("crash did not fail")
except jubilant.TaskError as fault:
    assert fault.task.return_code == 1 and "boom" in fault.task.stderr and fault.task.message == "exit status 1", fault.task
for name, params in [("nonsense", {}), ("greet", {"who": "me", "times": 0}), ("greet", {"other": 1})]:
    try:
        juju.run("one/0", name, params)
        raise SystemExit(f"{name} ran")
    except ValueError as fault:
        assert "nonsense" in str(fault) or "validation failed: (root)" in str(fault), fault
assert juju.exec("echo $JUJU_UNIT_NAME", unit="one/1").stdout == "one/1\n"
try:
    juju.exec("exit 3", unit="one/1")
    raise SystemExit("exec did not fail")
except jubilant.TaskError as fault:
    assert fault.task.return_code == 3

assert juju.model_config()["update-status-hook-interval"] == "1m"
assert juju.show_model().short_name == "probing"
assert "unit-one-0" in juju.debug_log()
juju.add_unit("one")
juju.wait(lambda status: jubilant.all_active(status, "one") and len(status.apps["one"].units) == 3, **quick)
juju.remove_unit("one/2", destroy_storage=True)
juju.wait(lambda status: len(status.apps["one"].units) == 2, **quick)
juju.refresh("one", path=charm)
juju.wait(jubilant.all_agents_idle, **quick)
juju.remove_relation("one", "two")
juju.remove_application("one", "two", destroy_storage=True)
juju.wait(lambda status: not status.apps, **quick)
juju.destroy_model("probing")
print("done")
"#;

#[test]
fn jubilant_drives_a_charm_on_ops() {
    let python = python();
    let world = World::empty();
    let charm = world.charm("probe").file("charm.py", CHARM);
    std::fs::remove_file(charm.path.join("metadata.yaml")).unwrap();
    let charm = charm.file("charmcraft.yaml", METADATA);
    write_executable(&charm.path.join("dispatch"), &format!("#!/bin/sh\nexec {} ./charm.py\n", python.display()));
    // Under the name that jubilant calls.
    let juju = world.directory.path().join("juju");
    symlink(world::BINARY, &juju).unwrap();
    let output = Command::new(&python)
        .args(["-c", DRIVER, juju.to_str().unwrap(), charm.text()])
        .env("LOCALJUJU_HOME", world.home())
        .env_remove("JUJU_MODEL")
        .output()
        .unwrap();
    let log = if output.status.success() { String::new() } else { world.juju(&["debug-log", "-m", "probing"]).stdout };
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}\n{log}");
    assert_eq!(stdout, "done\n");
    assert!(!world.home().exists(), "destroy-model leaves nothing");
}
