//! Which hooks run, in which order, in which environment; what failure does.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod world;

use std::fs;

use world::World;

#[test]
fn a_unit_comes_and_goes_in_jujus_order() {
    let world = World::new();
    let server = world
        .charm("server")
        .meta("provides: {db: {interface: pg}}\npeers: {cluster: {interface: p}}\nstorage: {data: {type: filesystem}}");
    let client = world.charm("client").meta("requires: {db: {interface: pg}}");
    world.ok(&["deploy", server.text()]);
    world.settled();
    let begin =
        ["data-storage-attached", "install", "cluster-relation-created", "leader-elected", "config-changed", "start"];
    assert_eq!(world.hooks("server/0"), begin);

    world.ok(&["add-unit", "server"]);
    world.settled();
    let peer = ["cluster-relation-joined server/1", "cluster-relation-changed server/1"];
    assert_eq!(world.hooks("server/0")[6..], peer);
    let second: Vec<String> = world.hooks("server/1");
    assert_eq!(
        second[..5],
        ["data-storage-attached", "install", "cluster-relation-created", "config-changed", "start"]
    );
    assert_eq!(second[5..], ["cluster-relation-joined server/0", "cluster-relation-changed server/0"]);

    world.ok(&["deploy", client.text()]);
    world.settled();
    world.ok(&["integrate", "client", "server:db"]);
    world.settled();
    let db = ["db-relation-created", "db-relation-joined client/0", "db-relation-changed client/0"];
    assert_eq!(world.hooks("server/0")[8..], db);
    assert_eq!(world.hooks("server/1")[7..], db);

    world.ok(&["remove-unit", "server/1", "--destroy-storage", "--no-prompt"]);
    world.wait("server/1 to be gone", || world.status()["applications"]["server"]["units"].get("server/1").is_none());
    world.settled();
    let end = [
        "data-storage-detaching",
        "cluster-relation-departed server/0 server/1",
        "db-relation-departed client/0 server/1",
        "db-relation-broken",
        "stop",
        "remove",
    ];
    assert_eq!(world.hooks("server/1")[10..], end);
    assert_eq!(world.hooks("server/0").last().unwrap(), "cluster-relation-departed server/1 server/1");
    assert_eq!(world.hooks("client/0").last().unwrap(), "db-relation-departed server/1 server/1");

    world.ok(&["remove-relation", "server", "client"]);
    world.wait("relation gone", || world.status()["applications"]["client"]["relations"].get("db").is_none());
    assert_eq!(
        world.hooks("client/0")[world.hooks("client/0").len() - 2..],
        ["db-relation-departed server/0 server/0", "db-relation-broken"]
    );

    world.ok(&["remove-application", "server", "client", "--no-prompt"]);
    world.wait("model empty", || world.status()["applications"].as_object().unwrap().is_empty());
    assert_eq!(world.status()["storage"]["storage"]["data/0"]["status"]["current"], "detached");
}

#[test]
fn the_environment_is_built_from_scratch() {
    let world = World::new();
    let charm = world.charm("env").dispatch("[ $HOOK = install ] && { env > $DIR/env; pwd > $DIR/cwd; echo \"$0 $#\" > $DIR/argv; ls -l /proc/$$/fd/0 > $DIR/stdin; grep SigBlk /proc/self/status > $DIR/blocked; ls /proc/$$/fd > $DIR/fds; umask > $DIR/umask; }; exit 0");
    world.ok(&["deploy", charm.text()]);
    world.settled();
    let env = world.read("env");
    let value = |key: &str| env.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).map(str::to_owned);
    let directory = world.unit_directory("env/0").join("charm").display().to_string();
    for (key, expected) in [
        ("JUJU_DISPATCH_PATH", "hooks/install"),
        ("JUJU_HOOK_NAME", "install"),
        ("JUJU_UNIT_NAME", "env/0"),
        ("JUJU_MODEL_NAME", "m"),
        ("JUJU_MACHINE_ID", "0"),
        ("JUJU_VERSION", "3.6.9"),
        ("JUJU_PRINCIPAL_UNIT", ""),
        ("JUJU_CHARM_DIR", directory.as_str()),
        ("LANG", "C.UTF-8"),
    ] {
        assert_eq!(value(key).as_deref(), Some(expected), "{key}");
    }
    for key in
        ["HOME", "USER", "SHELL", "TMPDIR", "LOCALJUJU_HOME", "CARGO_MANIFEST_DIR", "JUJU_ACTION_NAME", "JUJU_RELATION"]
    {
        assert_eq!(value(key), None, "{key}");
    }
    assert!(value("PATH").unwrap().starts_with(&world.home().join("models/m/tools/unit-env-0").display().to_string()));
    assert!(value("JUJU_CONTEXT_ID").unwrap().starts_with("env/0-install-"));
    assert_eq!(world.read("cwd").trim(), directory);
    assert_eq!(world.read("argv").trim(), format!("{directory}/dispatch 0"));
    assert!(world.read("stdin").trim().ends_with("/dev/null"));
    assert_eq!(world.read("blocked").trim(), "SigBlk:\t0000000000000000");
    assert_eq!(world.read("umask").trim(), "0022");
    // The shell itself keeps its script and its old output open.
    assert_eq!(
        world.read("fds").lines().filter(|fd| !matches!(*fd, "1" | "10" | "11")).collect::<Vec<_>>(),
        ["0", "2"]
    );
}

#[test]
fn a_failed_hook_flushes_nothing_and_is_retried() {
    let world = World::new();
    let charm = world.charm("fail").meta("peers: {cluster: {interface: p}}").dispatch(
        "if [ $HOOK = config-changed ]; then\n\
         state-get --format=json >> $DIR/seen\n\
         echo x >> $DIR/tries; state-set tries=$(wc -l < $DIR/tries); status-set waiting kept\n\
         [ $(wc -l < $DIR/tries) -ge 3 ] || exit 1\nfi",
    );
    world.ok(&["model-config", "localjuju-retry-min=300ms", "localjuju-retry-max=300ms"]);
    world.ok(&["deploy", charm.text()]);
    world.wait_unit("fail/0", "/workload-status/current", "error");
    world.wait_unit("fail/0", "/workload-status/message", "hook failed: \"config-changed\"");
    world.settled();
    assert_eq!(
        world.hooks("fail/0"),
        [
            "install",
            "cluster-relation-created",
            "leader-elected",
            "config-changed",
            "config-changed",
            "config-changed",
            "start"
        ]
    );
    assert_eq!(world.read("seen"), "{}\n{}\n{}\n");
    assert_eq!(world.on_unit("fail/0", "state-get tries").stdout, "3\n");
    // status-set is not rolled back.
    assert_eq!(world.on_unit("fail/0", "status-get").stdout, "waiting\n");
}

#[test]
fn resolved_retries_at_once_or_goes_on() {
    let world = World::new();
    world.ok(&["model-config", "automatically-retry-hooks=false"]);
    let charm = world
        .charm("stuck")
        .file("actions.yaml", "look: {}")
        .dispatch("[ $HOOK = install ] && [ ! -e $DIR/ok ] && exit 1; [ $HOOK = start ] && exit 1; exit 0");
    world.ok(&["deploy", charm.text()]);
    world.wait_unit("stuck/0", "/workload-status/current", "error");
    fs::write(world.directory.path().join("ok"), "").unwrap();
    world.ok(&["resolved", "stuck/0"]);
    world.wait_unit("stuck/0", "/workload-status/message", "hook failed: \"start\"");
    // Actions run while a hook is in error.
    world.ok(&["run", "stuck/0", "look"]);
    world.ok(&["resolved", "--no-retry", "stuck/0"]);
    world.settled();
    assert_eq!(world.hooks("stuck/0"), ["install", "install", "leader-elected", "config-changed", "start"]);
    assert_eq!(world.juju(&["resolved", "stuck/0"]).stderr, "ERROR unit \"stuck/0\" is not in an error state\n");
}

#[test]
fn a_killed_hook_is_run_again_without_an_error() {
    let world = World::new();
    let charm = world
        .charm("oom")
        .dispatch("[ $HOOK = install ] && [ ! -e $DIR/once ] && { touch $DIR/once; kill -9 $$; }; exit 0");
    world.ok(&["deploy", charm.text()]);
    world.settled();
    assert_eq!(world.hooks("oom/0"), ["install", "install", "leader-elected", "config-changed", "start"]);
    assert!(!world.ok(&["debug-log"]).contains("failed:"));
}

#[test]
fn config_changes_run_config_changed_once_and_only_when_something_changed() {
    let world = World::new();
    let charm = world.charm("cfg").file(
        "config.yaml",
        "options: {a: {type: int, default: 1}, b: {type: boolean}, s: {type: secret}, f: {type: float}}",
    );
    world.ok(&["deploy", charm.text(), "--config", "a=7"]);
    world.settled();
    world.ok(&["config", "cfg", "a=7"]);
    world.ok(&["config", "cfg", "a=8", "b=true"]);
    world.settled();
    world.ok(&["config", "cfg", "--reset", "a,b"]);
    world.settled();
    assert_eq!(world.hooks("cfg/0")[4..], ["config-changed", "config-changed"]);
    assert_eq!(world.ok(&["config", "cfg", "a"]), "1\n");
    for (word, text) in [
        ("a=x", "option \"a\" expected int, got \"x\""),
        ("b=maybe", "option \"b\" expected boolean, got \"maybe\""),
        ("f=x", "option \"f\" expected float, got \"x\""),
        ("s=x", "option \"s\" expected secret, got \"x\""),
        ("none=x", "unknown option \"none\""),
    ] {
        let said = world.juju(&["config", "cfg", "a=9", word]);
        assert_eq!((said.code, said.stderr), (1, format!("ERROR {text}\n")));
    }
    assert_eq!(world.ok(&["config", "cfg", "a"]), "1\n");
}

#[test]
fn leadership_moves_when_the_leader_is_gone_or_told() {
    let world = World::new();
    let charm = world.charm("lead");
    world.ok(&["deploy", charm.text(), "-n", "3"]);
    world.settled();
    assert_eq!(world.on_unit("lead/0", "is-leader").stdout, "True\n");
    world.ok(&["set-leader", "lead/2"]);
    world.settled();
    assert_eq!(world.hooks("lead/2").last().unwrap(), "leader-elected");
    world.ok(&["remove-unit", "lead/2"]);
    world.wait("another leader", || world.status()["applications"]["lead"]["units"]["lead/0"]["leader"] == true);
    world.settled();
    assert_eq!(world.hooks("lead/0").last().unwrap(), "leader-elected");
}

#[test]
fn update_status_runs_at_its_interval() {
    let world = World::new();
    world.ok(&["model-config", "update-status-hook-interval=100ms"]);
    let charm = world.charm("tick");
    world.ok(&["deploy", charm.text()]);
    world.wait("two update-status", || {
        world.hooks("tick/0").iter().filter(|hook| *hook == "update-status").count() >= 2
    });
}

#[test]
fn one_operation_at_a_time_in_a_unit_while_units_run_at_once() {
    let world = World::new();
    // Each unit's config-changed waits for the other's: that ends only if they run at the same time.
    let charm = world.charm("pair").file("actions.yaml", "touch: {parallel: true}").dispatch(
        "case $HOOK in config-changed) touch $DIR/in-$UNIT; for i in $(seq 500); do [ -e $DIR/in-pair-0 -a -e $DIR/in-pair-1 ] && break; sleep 0.02; done\n\
         mkdir $DIR/busy-$UNIT; while [ ! -e $DIR/go ]; do sleep 0.02; done; rmdir $DIR/busy-$UNIT;;\n\
         touch) [ -e $DIR/busy-$UNIT ] && echo overlap > $DIR/overlap; true;; esac",
    );
    world.ok(&["deploy", charm.text(), "-n", "2"]);
    world.wait("both busy", || {
        ["busy-pair-0", "busy-pair-1"].iter().all(|name| world.directory.path().join(name).exists())
    });
    world.ok(&["run", "pair/0", "touch", "--background"]);
    assert_eq!(
        world.status()["applications"]["pair"]["units"]["pair/0"]["juju-status"]["message"],
        "running config-changed hook"
    );
    fs::write(world.directory.path().join("go"), "").unwrap();
    world.settled();
    assert_eq!(world.json(&["show-task", "2"])["status"], "completed");
    assert_eq!(world.read("overlap"), "");
}
