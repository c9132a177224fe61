//! The daemon's own life: restart, packed charms, storage, and that nothing is left at the end.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod world;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use world::{World, write_executable};

fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// The daemon of this home, found by its environment.
fn daemon(world: &World) -> i32 {
    let mark = format!("LOCALJUJU_HOME={}", world.home().display());
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let has = |bytes: Vec<u8>, line: &str| bytes.split(|byte| *byte == 0).any(|found| found == line.as_bytes());
            has(read("environ"), &mark) && has(read("cmdline"), "daemon")
        })
        .find_map(|entry| entry.file_name().to_str()?.parse().ok())
        .expect("a daemon")
}

fn kill(pid: i32, signal: &str) {
    std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
}

#[test]
fn a_restarted_daemon_takes_up_where_it_was() {
    for signal in ["-KILL", "-TERM"] {
        let world = World::new();
        let charm = world.charm("stay").file("actions.yaml", "long: {}").dispatch(
            "case $HOOK in\n\
             config-changed) [ -e $DIR/hold ] && { rm $DIR/hold; touch $DIR/held; exec sleep 1000; };;\n\
             long) touch $DIR/acting; exec sleep 1000;; esac; exit 0",
        );
        world.ok(&["deploy", charm.text(), "-n", "2"]);
        world.settled();
        world.on_unit("stay/0", "state-set a=1; status-set active kept; open-port 80");
        let address = world.status()["machines"]["0"]["dns-name"].clone();
        world.ok(&["run", "stay/1", "long", "--background"]);
        world.wait("the action", || world.directory.path().join("acting").exists());
        fs::write(world.directory.path().join("hold"), "").unwrap();
        fs::remove_file(world.directory.path().join("hold")).unwrap();
        // Only stay/0 can run its hook: stay/1 is busy with the action.
        fs::write(world.directory.path().join("hold"), "").unwrap();
        world.ok(&["trust", "stay"]);
        world.wait("the hook", || world.directory.path().join("held").exists());

        let pid = daemon(&world);
        kill(pid, signal);
        world.wait("the daemon's end", || !is_running(&pid.to_string()));
        world.wait("the task to have failed", || world.json(&["show-task", "2"])["status"] == "failed");
        assert_eq!(world.json(&["show-task", "2"])["message"], "action terminated", "{signal}");
        world.settled();
        assert_eq!(world.hooks("stay/0")[4..], ["config-changed", "config-changed"], "{signal}: the hook runs again");
        assert_eq!(world.hooks("stay/1").last().unwrap(), "config-changed");
        assert_eq!(world.on_unit("stay/0", "state-get a; opened-ports").stdout, "1\n80/tcp\n");
        assert_eq!(world.status()["machines"]["0"]["dns-name"], address);
        assert_eq!(world.status()["applications"]["stay"]["units"]["stay/0"]["workload-status"]["message"], "kept");
    }
}

#[test]
fn destroy_model_leaves_no_process_and_no_file() {
    for force in [false, true] {
        let world = World::new();
        // Daemons in all ways of hiding: own session, another directory, no environment, deaf to SIGTERM.
        let charm = world.charm("spawn").meta("storage: {data: {type: filesystem}}").dispatch(
            "if [ $HOOK = start ]; then\n\
             loc=$(storage-get -s $(storage-list data) location)\n\
             cd /; setsid sh -c 'echo $$ > '$DIR'/pid1; exec sleep 1000' < /dev/null > /dev/null 2>&1 &\n\
             cp $(which sleep) $loc/mysleep; env -i setsid sh -c 'echo $$ > '$DIR'/pid2; exec '$loc'/mysleep 1000' < /dev/null > /dev/null 2>&1 &\n\
             env -i setsid sh -c 'trap \"\" TERM; echo $$ > '$DIR'/pid3; while :; do sleep 0.1; done' < /dev/null > $loc/log 2>&1 &\n\
             env -i setsid sh -c 'cd '$loc'; setsid sh -c \"cd /; echo \\$\\$ > '$DIR'/pid4; exec sleep 1000\" & wait' < /dev/null > /dev/null 2>&1 &\n\
             fi\n\
             [ $HOOK = stop ] && touch $DIR/stopped; exit 0",
        );
        world.ok(&["deploy", charm.text()]);
        world.settled();
        let pids: Vec<String> = ["pid1", "pid2", "pid3", "pid4"].map(|name| format!("{}\n", name)).into();
        world.wait("daemons", || pids.iter().all(|name| !world.read(name.trim()).is_empty()));
        let pids: Vec<String> = pids.iter().map(|name| world.read(name.trim())).collect();
        assert!(pids.iter().all(|pid| is_running(pid)), "{pids:?}");
        let pid = daemon(&world).to_string();
        let mut args = vec!["destroy-model", "m", "--no-prompt"];
        args.extend(force.then_some("--force"));
        world.ok(&args);
        for (index, pid) in pids.iter().chain([&pid]).enumerate() {
            assert!(!is_running(pid), "process {index} ({pid}) is left, force {force}");
        }
        assert!(!world.home().exists());
        assert_eq!(world.directory.path().join("stopped").exists(), !force);
    }
}

#[test]
fn the_first_deploy_makes_a_model() {
    let world = World::empty();
    let charm = world.charm("easy");
    world.ok(&["deploy", charm.text()]);
    world.settled();
    assert_eq!(world.ok(&["switch"]), "localjuju:admin/default\n");
    assert_eq!(world.juju(&["status", "-m", "none"]).stderr, "ERROR model \"none\" not found\n");
    world.ok(&["add-model", "second"]);
    assert_eq!(world.ok(&["switch"]), "localjuju:admin/second\n");
    let subnets: Vec<String> = ["default", "second"]
        .iter()
        .map(|model| {
            world.ok(&["deploy", charm.text(), "-m", model, "other"]);
            let machines = world.json(&["status", "-m", model])["machines"].clone();
            machines.as_object().unwrap().values().next().unwrap()["dns-name"]
                .as_str()
                .unwrap()
                .rsplit_once('.')
                .unwrap()
                .0
                .to_owned()
        })
        .collect();
    assert_ne!(subnets[0], subnets[1]);
    world.ok(&["destroy-model", "second", "--no-prompt"]);
    assert!(world.home().join("models/default").exists() && !world.home().join("models/second").exists());
}

fn pack(source: &Path, target: &Path) {
    let mut archive = zip::ZipWriter::new(fs::File::create(target).unwrap());
    for entry in fs::read_dir(source).unwrap().flatten() {
        let mode = entry.metadata().unwrap().permissions().mode();
        let options = zip::write::SimpleFileOptions::default().unix_permissions(mode);
        archive.start_file(entry.file_name().to_str().unwrap(), options).unwrap();
        archive.write_all(&fs::read(entry.path()).unwrap()).unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn a_packed_charm_is_deployed_and_refreshed() {
    let world = World::new();
    let charm = world.charm("packed").file("config.yaml", "options: {a: {type: string, default: old}}");
    let file = world.directory.path().join("packed_amd64.charm");
    pack(&charm.path, &file);
    world.ok(&["deploy", file.to_str().unwrap(), "app"]);
    world.settled();
    let charm = charm.file("config.yaml", "options: {a: {type: string, default: new}, b: {type: int, default: 5}}");
    pack(&charm.path, &file);
    world.ok(&["refresh", "app", "--path", file.to_str().unwrap()]);
    world.settled();
    assert_eq!(world.hooks("app/0")[4..], ["upgrade-charm", "config-changed"]);
    assert_eq!(world.on_unit("app/0", "config-get a; config-get b").stdout, "new\n5\n");
    assert_eq!(world.status()["applications"]["app"]["charm-rev"], 1);

    let mut archive = zip::ZipWriter::new(fs::File::create(&file).unwrap());
    archive.start_file("../../escape", zip::write::SimpleFileOptions::default()).unwrap();
    archive.finish().unwrap();
    let said = world.juju(&["deploy", file.to_str().unwrap(), "evil"]);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (1, "ERROR charm archive names a path outside of itself: ../../escape\n")
    );
}

#[test]
fn storage_is_kept_for_the_next_unit_or_destroyed() {
    let world = World::new();
    let charm = world.charm("store").meta("storage: {data: {type: filesystem}, logs: {type: filesystem, multiple: {range: 0-}}}").dispatch(
        "[ $HOOK = data-storage-attached ] && { echo $JUJU_STORAGE_ID $JUJU_STORAGE_KIND > $DIR/env; ls $JUJU_STORAGE_LOCATION > $DIR/list; touch $JUJU_STORAGE_LOCATION/file; }\n\
         [ $HOOK = start ] && storage-add logs=2; exit 0",
    );
    world.ok(&["deploy", charm.text()]);
    world.settled();
    assert_eq!(world.read("env"), "data/0 filesystem\n");
    world.wait("added storage", || {
        world.hooks("store/0").iter().filter(|hook| *hook == "logs-storage-attached").count() == 2
    });
    let ran = world.on_unit(
        "store/0",
        "cd $(storage-get -s data/0 location); env -i setsid sh -c 'echo $$ > pid; exec sleep 1000' > /dev/null 2>&1 &",
    );
    assert_eq!(ran.code, 0);
    let pid = || fs::read_to_string(world.home().join("models/m/storage/data-0/pid")).unwrap_or_default();
    world.wait("a process on the storage", || is_running(&pid()));
    world.ok(&["remove-unit", "store/0", "--no-prompt"]);
    world.wait("no unit", || world.units().is_empty());
    // Its machine is gone, and with it all that ran there.
    world.wait("no process", || !is_running(&pid()));
    fs::remove_file(world.home().join("models/m/storage/data-0/pid")).unwrap();
    world.ok(&["add-unit", "store", "--attach-storage", "data/0"]);
    world.settled();
    assert_eq!(world.read("list"), "file\n");
    let location = world.home().join("models/m/storage/data-0");
    assert_eq!(location.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    world.ok(&["remove-unit", "store/1", "--destroy-storage", "--no-prompt"]);
    world.wait("no storage", || !location.exists());
}

#[test]
fn a_subordinate_lives_beside_its_principal() {
    let world = World::new();
    let main = world.charm("main");
    let sub = world
        .charm("sub")
        .meta("subordinate: true\nrequires: {host: {interface: juju-info, scope: container}}")
        .dispatch("[ $HOOK = install ] && echo $JUJU_PRINCIPAL_UNIT >> $DIR/hosts; exit 0");
    world.ok(&["deploy", main.text(), "-n", "2"]);
    world.ok(&["deploy", sub.text()]);
    world.settled();
    world.ok(&["integrate", "main", "sub"]);
    world.wait("joined", || {
        ["sub/0", "sub/1"]
            .iter()
            .all(|unit| world.hooks(unit).iter().any(|hook| hook.starts_with("host-relation-changed")))
    });
    world.settled();
    assert_eq!(world.hooks("sub/0").iter().filter(|hook| hook.starts_with("host-relation-joined")).count(), 1);
    let mut hosts: Vec<String> = world.read("hosts").lines().map(str::to_owned).collect();
    hosts.sort();
    assert_eq!(hosts, ["main/0", "main/1"]);
    world.ok(&["add-unit", "main"]);
    world.wait("a third", || world.hooks("sub/2").iter().any(|hook| hook == "start"));
    world.ok(&["remove-unit", "main/2", "--no-prompt"]);
    world.wait("both gone", || world.status()["applications"]["main"]["units"].as_object().unwrap().len() == 2);
    world.ok(&["remove-relation", "main", "sub"]);
    world.wait("no subordinates", || world.units().iter().all(|unit| unit.get("subordinates").is_none()));
}

#[test]
fn bad_names_and_charms_are_refused() {
    let world = World::new();
    let charm = world.charm("fine");
    let text = charm.text();
    let empty = world.directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for (args, error) in [
        (vec!["deploy", text, "Bad"], "invalid application name \"Bad\"".to_owned()),
        (vec!["deploy", text, "x-1"], "invalid application name \"x-1\"".to_owned()),
        (vec!["deploy", text, "../x"], "invalid application name \"../x\"".to_owned()),
        (vec!["deploy", text, "x", "--config", "a=1"], "unknown option \"a\"".to_owned()),
        (vec!["deploy", text, "x", "--storage", "a=1"], "charm \"fine\" has no store called \"a\"".to_owned()),
        (vec!["deploy", "/nowhere", "x"], "charm or bundle at \"/nowhere\" not found".to_owned()),
        (vec!["deploy", empty.to_str().unwrap(), "x"], "charm has no metadata.yaml and no charmcraft.yaml".to_owned()),
        (vec!["add-model", "a/b"], "model \"m\"".to_owned()),
        (vec!["add-unit", "x"], "application \"x\" not found".to_owned()),
        (vec!["integrate", "x", "y"], "application \"x\" not found".to_owned()),
        (vec!["run", "x/0", "y"], String::new()),
        (vec!["remove-unit", "x/0", "--no-prompt"], "unit \"x/0\" not found".to_owned()),
    ] {
        let said = world.juju(&args);
        match args[0] {
            "run" => assert!(said.stderr.contains("unit \"x/0\" not found"), "{}", said.stderr),
            "add-model" => assert_eq!(said.code, 0, "the owner's part of a model's name is left out"),
            _ => assert_eq!((said.code, said.stderr), (1, format!("ERROR {error}\n")), "{args:?}"),
        }
    }
    assert!(world.status()["applications"].as_object().unwrap().is_empty());
}

#[test]
fn without_dispatch_the_hooks_directory_is_used() {
    let world = World::new();
    let charm = world.charm("old").file("actions.yaml", "there: {}\nmissing: {}");
    fs::remove_file(charm.path.join("dispatch")).unwrap();
    fs::create_dir(charm.path.join("hooks")).unwrap();
    fs::create_dir(charm.path.join("actions")).unwrap();
    // Hooks get their executable bit; actions must have it.
    let charm = charm.file("hooks/start", "#!/bin/sh\nstatus-set active started\n");
    write_executable(&charm.path.join("actions/there"), "#!/bin/sh\naction-set a=1\n");
    world.ok(&["deploy", charm.text()]);
    world.ok(&[
        "wait-for",
        "unit",
        "old/0",
        "--query",
        "workload-message==\"started\" && agent-status==\"idle\"",
        "--timeout",
        "30s",
    ]);
    world.ok(&["wait-for", "application", "old", "--timeout", "30s"]);
    assert_eq!(world.juju(&["wait-for", "unit", "old/7", "--timeout", "1ms"]).code, 1);
    assert_eq!(world.json(&["run", "old/0", "there"])["old/0"]["results"]["a"], "1");
    assert_eq!(
        world.json(&["run", "old/0", "missing"])["old/0"]["message"],
        "action not implemented on unit \"old/0\""
    );
    // A dispatch that cannot be executed is a failed hook, not a missing one.
    let charm = world.charm("broken");
    fs::set_permissions(charm.path.join("dispatch"), fs::Permissions::from_mode(0o644)).unwrap();
    world.ok(&["deploy", charm.text()]);
    world.wait_unit("broken/0", "/workload-status/message", "hook failed: \"install\"");
}

#[test]
fn debug_log_shows_what_charms_say() {
    let world = World::new();
    let charm = world.charm("talk").dispatch("[ $HOOK = install ] && { echo out; echo err >&2; juju-log -l WARNING -- careful; juju-log plain; sleep 100 & }; exit 0");
    world.ok(&["deploy", charm.text()]);
    world.settled();
    let log = world.ok(&["debug-log", "--replay", "--no-tail", "--include", "talk/0"]);
    for line in [
        "DEBUG unit.talk/0.install out",
        "WARNING unit.talk/0.install err",
        "WARNING unit.talk/0.juju-log careful",
        "INFO unit.talk/0.juju-log plain",
    ] {
        assert!(
            log.lines().any(|found| found.starts_with("unit-talk-0: ") && found.ends_with(line)),
            "{line} in\n{log}"
        );
    }
    assert_eq!(world.ok(&["debug-log", "--limit", "1", "--level", "WARNING"]).lines().count(), 1);
    assert_eq!(world.ok(&["debug-log", "--include", "unit-other-0"]), "");
}

#[test]
fn commands_at_once_share_one_daemon() {
    let world = World::empty();
    let names: Vec<String> = (0..8).map(|number| format!("model-{number}")).collect();
    let children: Vec<_> =
        names.iter().map(|name| world.command(&["add-model", name, "--quiet"]).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let models = world.json(&["models"]);
    let found: Vec<&str> =
        models["models"].as_array().unwrap().iter().map(|model| model["short-name"].as_str().unwrap()).collect();
    assert_eq!(found, names);
    for name in &names {
        world.ok(&["destroy-model", name, "--no-prompt"]);
    }
    assert!(!world.home().exists());
}
