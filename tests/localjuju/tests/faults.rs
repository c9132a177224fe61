//! Machines that lose their power or change their address: what Juju tells, what runs, who leads.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod world;

use std::fs;

use world::World;

fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// `start` starts a daemon deaf to SIGTERM, action `long` never ends, config-changed hangs while `hold` is there.
fn deploy(world: &World, units: &str) {
    let charm = world
        .charm("host")
        .meta("peers: {cluster: {interface: p}}\nstorage: {data: {type: filesystem}}")
        .file("actions.yaml", "long: {}\nquick: {}")
        .dispatch(
            "case $HOOK in\n\
             start) setsid sh -c 'trap \"\" TERM; echo $$ > '$DIR/$UNIT'.pid; while :; do sleep 1; done' < /dev/null > /dev/null 2>&1 &;;\n\
             long) touch $DIR/acting; sleep 1000; exit 0;;\n\
             quick) action-set done=yes;;\n\
             config-changed) [ -e $DIR/hold ] && { touch $DIR/held; sleep 1000; };;\n\
             esac; exit 0",
        );
    world.ok(&["deploy", charm.text(), "-n", units]);
    world.settled();
}

fn agent(world: &World, unit: &str) -> String {
    world.unit(unit)["juju-status"]["current"].as_str().unwrap_or_default().to_owned()
}

fn leader(world: &World) -> Option<String> {
    let units = world.status()["applications"]["host"]["units"].as_object().cloned().unwrap_or_default();
    units.into_iter().find(|(_, unit)| unit["leader"] == true).map(|(name, _)| name)
}

#[test]
fn power_ends_everything_and_its_return_is_a_boot() {
    let world = World::new();
    deploy(&world, "2");
    let pid = || world.read("host-1.pid");
    world.wait("the daemon", || is_running(&pid()));
    world.ok(&["run", "host/1", "long", "--background"]);
    world.wait("the action", || world.directory.path().join("acting").exists());
    let (before, old) = (world.hooks("host/1"), pid());

    world.ok(&["power-off", "host/1"]);
    assert!(!is_running(&old));
    let unit = world.unit("host/1");
    assert_eq!(unit["juju-status"]["current"], "lost");
    assert_eq!(unit["juju-status"]["message"], "agent is not communicating with the server");
    assert_eq!(unit["workload-status"]["current"], "unknown");
    assert_eq!(unit["workload-status"]["message"], "agent lost, see 'juju show-status-log host/1'");
    assert_eq!(world.status()["machines"]["1"]["juju-status"]["current"], "down");
    let task = world.json(&["show-task", "2"]);
    assert_eq!((&task["status"], &task["message"]), (&"failed".into(), &"action terminated".into()));
    assert_eq!(world.on_unit("host/1", "true").stderr, "ERROR unit \"host/1\" not found on this machine\n");
    assert!(world.juju(&["power-off", "host/1"]).stderr.contains("is powered off already"));
    assert!(world.juju(&["set-leader", "host/1"]).stderr.contains("is powered off"));

    world.ok(&["run", "host/1", "quick", "--background"]);
    world.ok(&["config", "host", "trust=true"]);
    world.wait("the other unit", || world.hooks("host/0").last().unwrap() == "config-changed");
    assert_eq!(world.json(&["show-task", "4"])["status"], "pending");
    // Without power through a restart of the daemon too.
    world.ok(&["stop-daemon"]);
    assert_eq!(agent(&world, "host/1"), "lost");
    assert_eq!(world.hooks("host/1"), before);

    world.ok(&["power-on", "host/1"]);
    world.wait("the action that waited", || world.json(&["show-task", "4"])["status"] == "completed");
    world.settled();
    assert_eq!(world.hooks("host/1")[before.len()..], ["start", "config-changed"]);
    world.wait("the daemon of the second start", || pid() != old && is_running(&pid()));
    assert!(world.juju(&["power-on", "host/1"]).stderr.contains("is not powered off"));
}

#[test]
fn a_hook_that_the_power_cut_short_runs_again_after_start() {
    let world = World::new();
    deploy(&world, "1");
    let before = world.hooks("host/0").len();
    fs::write(world.directory.path().join("hold"), "").unwrap();
    world.ok(&["trust", "host"]);
    world.wait("the hook", || world.directory.path().join("held").exists());
    world.ok(&["power-off", "host/0"]);
    fs::remove_file(world.directory.path().join("hold")).unwrap();
    world.ok(&["power-on", "host/0"]);
    world.wait("the boot", || world.hooks("host/0").len() > before + 1);
    world.settled();
    assert_eq!(world.hooks("host/0")[before..], ["config-changed", "start", "config-changed"]);
}

#[test]
fn leadership_outlives_a_short_loss_of_power_only() {
    let world = World::new();
    deploy(&world, "3");
    assert_eq!(leader(&world).as_deref(), Some("host/0"));
    world.ok(&["power-off", "host/0"]);
    world.ok(&["power-on", "host/0"]);
    world.settled();
    assert_eq!(leader(&world).as_deref(), Some("host/0"), "the lease of 30 s has not ended");

    world.ok(&["model-config", "localjuju-leader-timeout=200ms"]);
    world.ok(&["power-off", "host/0"]);
    world.wait("another leader", || world.hooks("host/1").last().unwrap() == "leader-elected");
    assert_eq!(leader(&world).as_deref(), Some("host/1"));
    let ran = world.json(&["run", "host/leader", "quick"]);
    assert_eq!(ran["host/1"]["results"]["done"], "yes", "{ran}");
    world.ok(&["power-on", "host/0"]);
    world.settled();
    assert_eq!(world.on_unit("host/0", "is-leader").stdout, "False\n");
    assert_eq!(world.hooks("host/0").iter().filter(|hook| *hook == "leader-elected").count(), 1);

    for unit in ["host/0", "host/2", "host/1"] {
        world.ok(&["power-off", unit]);
    }
    world.wait("no leader", || leader(&world).is_none());
    assert!(world.juju(&["run", "host/leader", "quick"]).stderr.contains("could not determine leader for \"host\""));
    world.ok(&["power-on", "host/2"]);
    world.wait("a leader again", || world.hooks("host/2").iter().any(|hook| hook == "leader-elected"));
}

#[test]
fn a_dead_machine_is_waited_for_unless_forced() {
    let world = World::new();
    world.ok(&["model-config", "localjuju-leader-timeout=1h"]);
    deploy(&world, "4");
    for unit in ["host/0", "host/3"] {
        world.ok(&["power-off", unit]);
    }
    world.ok(&["remove-unit", "host/3", "--no-prompt"]);
    let told = |unit: &str, gone: &str| {
        let hook = format!("cluster-relation-departed {gone} {gone}");
        world.hooks(unit).contains(&hook)
    };
    world.wait("peers to be told", || told("host/1", "host/3") && told("host/2", "host/3"));
    assert_eq!(world.unit("host/3")["juju-status"]["life"], "dying");
    let goal = || -> serde_json::Value {
        serde_json::from_str(&world.on_unit("host/1", "goal-state --format=json").stdout).unwrap()
    };
    assert_eq!(goal()["units"]["host/3"]["status"], "dying");
    assert_eq!(world.on_unit("host/1", "relation-list -r cluster:0").stdout, "host/0\nhost/2\n");

    // The leader's machine died for good.
    assert_eq!(leader(&world).as_deref(), Some("host/0"));
    let before = world.hooks("host/0");
    world.ok(&["remove-unit", "host/0", "--force", "--no-prompt"]);
    world.wait("peers to be told", || told("host/1", "host/0") && told("host/2", "host/0"));
    world.wait("another leader", || leader(&world).as_deref() == Some("host/1"));
    assert!(world.unit("host/0").is_null() && goal()["units"].get("host/0").is_none());
    assert_eq!(world.on_unit("host/1", "relation-list -r cluster:0").stdout, "host/2\n");
    assert_eq!(world.hooks("host/0"), before, "no hook of the dead");
    assert_eq!(world.status()["storage"]["storage"]["data/0"]["status"]["current"], "detached");

    world.ok(&["power-on", "host/3"]);
    world.wait("its end", || world.unit("host/3").is_null());
    assert_eq!(world.hooks("host/3")[world.hooks("host/3").len() - 2..], ["stop", "remove"]);
}

#[test]
fn a_new_address_is_told_to_the_unit_and_its_peers() {
    let world = World::new();
    deploy(&world, "2");
    let (old, before, peer) = (world.address("host/1"), world.hooks("host/1").len(), world.hooks("host/0").len());
    let new = world.ok(&["set-address", "host/1"]).trim().to_owned();
    assert_ne!(new, old);
    world.wait("the peer", || world.hooks("host/0").len() > peer);
    world.settled();
    assert_eq!(world.hooks("host/1")[before..], ["config-changed"]);
    assert_eq!(world.hooks("host/0")[peer..], ["cluster-relation-changed host/1"]);
    let said = world.on_unit(
        "host/0",
        "for key in ingress-address private-address egress-subnets; do relation-get -r cluster:0 $key host/1; done",
    );
    assert_eq!(said.stdout, format!("{new}\n{new}\n{new}/32\n"));
    assert_eq!(world.on_unit("host/1", "network-get cluster --bind-address").stdout, format!("{new}\n"));
    assert_eq!(world.status()["machines"]["1"]["dns-name"], new.as_str());
    let free = old.rsplit_once('.').map(|(network, _)| format!("{network}.200")).unwrap();
    world.ok(&["power-off", "host/1"]);
    assert_eq!(world.ok(&["set-address", "host/1", &free]), format!("{free}\n"));
    assert_eq!(world.address("host/1"), free);
    assert_eq!(world.hooks("host/0").len(), peer + 1, "nobody is told while it is off");
    world.ok(&["power-on", "host/1"]);
    world.wait("the peer", || world.hooks("host/0").len() == peer + 2);
}
