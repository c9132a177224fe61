//! Several units of one application: what they tell each other, in which order, and what each may read.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod world;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use world::World;

/// install ends only when as many units as `$DIR/together` says are in theirs; action `set` waits for `$DIR/go`.
fn deploy(world: &World, units: &str) {
    let charm = world
        .charm("peer")
        .meta("peers: {cluster: {interface: p}}\nstorage: {data: {type: filesystem}}")
        .file("actions.yaml", "set: {}\nread: {}\nlead: {}")
        .dispatch(
            "case $HOOK in\n\
             install) touch $DIR/in-$UNIT; n=0\n\
               while [ $(ls $DIR | grep -c ^in-) -lt $(cat $DIR/together) ]; do\n\
               n=$((n+1)); [ $n -gt 400 ] && exit 1; sleep 0.05; done;;\n\
             cluster-relation-*) { echo $HOOK $JUJU_REMOTE_UNIT; relation-list | tr '\\n' ' '; relation-get - $JUJU_UNIT_NAME;\n\
               relation-get --app - peer; [ -z \"$JUJU_REMOTE_UNIT\" ] || relation-get ingress-address; } >> $DIR/$UNIT.saw 2>&1 || exit 1;;\n\
             config-changed) for unit in $(relation-list -r cluster:0); do\n\
               relation-get -r cluster:0 ingress-address $unit > /dev/null || exit 1; done;;\n\
             set) relation-set -r cluster:0 word=said; touch $DIR/set; n=0\n\
               while [ ! -e $DIR/go ]; do n=$((n+1)); [ $n -gt 400 ] && exit 1; sleep 0.05; done;;\n\
             read) action-set word=\"$(relation-get -r cluster:0 word peer/0)\" app=\"$(relation-get -r cluster:0 --app key peer)\";;\n\
             lead) action-set is=$(is-leader);;\n\
             esac; exit 0",
        );
    fs::write(world.directory.path().join("together"), units).unwrap();
    world.ok(&["deploy", charm.text(), "-n", units]);
    world.settled();
}

fn names(world: &World) -> BTreeSet<String> {
    world.status()["applications"]["peer"]["units"].as_object().unwrap().keys().cloned().collect()
}

/// The hooks of the peer relation with this unit, in order.
fn about(world: &World, unit: &str, other: &str) -> Vec<String> {
    let hooks = world.hooks(unit).into_iter();
    let told = hooks.filter_map(|hook| {
        let (name, rest) = hook.split_once(' ')?;
        (rest.split(' ').next() == Some(other)).then(|| name.trim_start_matches("cluster-relation-").to_owned())
    });
    told.collect()
}

#[test]
fn units_are_made_at_the_same_time_and_meet_each_other() {
    let world = World::new();
    deploy(&world, "3");
    for unit in ["peer/0", "peer/1", "peer/2"] {
        let hooks = world.hooks(unit);
        assert_eq!(hooks.iter().filter(|hook| *hook == "cluster-relation-created").count(), 1);
        for other in names(&world).iter().filter(|other| *other != unit) {
            assert_eq!(about(&world, unit, other), ["joined", "changed"], "{unit} of {other}");
        }
    }
    fs::write(world.directory.path().join("together"), "5").unwrap();
    world.ok(&["add-unit", "peer", "-n", "2"]);
    world.settled();
    assert_eq!(names(&world).len(), 5);
    for unit in names(&world) {
        for other in names(&world).iter().filter(|other| **other != unit) {
            assert_eq!(about(&world, &unit, other), ["joined", "changed"], "{unit} of {other}");
        }
        let list = world.on_unit(&unit, "relation-list -r cluster:0").stdout;
        assert_eq!(list.lines().count(), 4, "{unit}: {list}");
    }
}

#[test]
fn one_scales_to_three_to_five_to_three() {
    let world = World::new();
    deploy(&world, "1");
    for (add, together) in [("2", "3"), ("2", "5")] {
        fs::write(world.directory.path().join("together"), together).unwrap();
        world.ok(&["add-unit", "peer", "-n", add]);
        world.settled();
    }
    world.ok(&["remove-unit", "peer/1", "peer/4", "--destroy-storage", "--no-prompt"]);
    let rest = BTreeSet::from(["peer/0", "peer/2", "peer/3"].map(str::to_owned));
    world.wait("three", || names(&world) == rest);
    world.settled();
    for unit in &rest {
        for gone in ["peer/1", "peer/4"] {
            assert_eq!(about(&world, unit, gone), ["joined", "changed", "departed"], "{unit} of {gone}");
        }
        let list = world.on_unit(unit, "relation-list -r cluster:0").stdout;
        let listed: BTreeSet<String> = list.lines().map(str::to_owned).chain([unit.clone()]).collect();
        assert_eq!(listed, rest);
        let goal: Value = serde_json::from_str(&world.on_unit(unit, "goal-state --format=json").stdout).unwrap();
        assert_eq!(goal["units"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), rest);
    }
    // The one that left: first its storage, then its peers, and a peer relation is never broken.
    let hooks = world.hooks("peer/4");
    let end: Vec<&str> = hooks[hooks.len() - 7..].iter().map(|hook| hook.split(' ').next().unwrap()).collect();
    let departed = "cluster-relation-departed";
    // peer/1 left at the same time: it may have been seen to depart before or with all others.
    let last: Vec<&str> = end.iter().copied().filter(|hook| *hook != departed).collect();
    assert_eq!(last[last.len() - 3..], ["data-storage-detaching", "stop", "remove"], "{hooks:?}");
    assert_eq!(hooks.iter().filter(|hook| hook.starts_with(departed)).count(), 4);
    assert!(hooks.iter().all(|hook| !hook.contains("broken")));
}

#[test]
fn what_a_unit_sets_is_told_when_its_hook_has_ended() {
    let world = World::new();
    deploy(&world, "3");
    let before = world.hooks("peer/1").len();
    world.ok(&["run", "peer/0", "set", "--background"]);
    world.wait("relation-set", || world.directory.path().join("set").exists());
    // Another unit runs whole operations meanwhile, and knows nothing of it.
    assert!(
        world.json(&["run", "peer/1", "read"])["peer/1"]["results"]["word"].as_str().unwrap_or_default().is_empty()
    );
    assert_eq!(world.hooks("peer/1").len(), before);
    fs::write(world.directory.path().join("go"), "").unwrap();
    world.wait("the others", || ["peer/1", "peer/2"].iter().all(|unit| about(&world, unit, "peer/0").len() == 3));
    world.settled();
    assert_eq!(world.json(&["run", "peer/1", "read"])["peer/1"]["results"]["word"], "said");
    assert!(about(&world, "peer/0", "peer/0").is_empty(), "nobody is told of what he has said himself");
}

#[test]
fn the_own_bags_of_a_peer_relation_are_read_by_all_and_written_by_the_leader() {
    let world = World::new();
    deploy(&world, "3");
    let set = |unit: &str| world.on_unit(unit, "relation-set -r cluster:0 --app key=value");
    assert_eq!(set("peer/1").stderr, "ERROR cannot write relation settings\n");
    assert_eq!(set("peer/0").code, 0);
    let changed = |unit: &str| world.hooks(unit).iter().filter(|hook| *hook == "cluster-relation-changed").count();
    world.wait("the others", || changed("peer/1") == 1 && changed("peer/2") == 1);
    world.settled();
    assert_eq!(changed("peer/0"), 0);
    assert_eq!(world.json(&["run", "peer/2", "read"])["peer/2"]["results"]["app"], "value");
    let saw = world.read("peer-2.saw");
    assert!(saw.contains("key: value") && saw.contains(&world.address("peer/2")) && !saw.contains("ERROR"), "{saw}");

    world.ok(&["set-leader", "peer/2"]);
    world.wait("the new leader", || world.hooks("peer/2").last().unwrap() == "leader-elected");
    let ran = world.json(&["run", "peer/leader", "lead"]);
    assert_eq!(ran["peer/2"]["results"]["is"], "True", "{ran}");
    assert_eq!(set("peer/0").stderr, "ERROR cannot write relation settings\n");
    // A unit that comes later finds it.
    fs::write(world.directory.path().join("together"), "4").unwrap();
    world.ok(&["add-unit", "peer"]);
    world.settled();
    world.wait("the newcomer", || changed("peer/3") == 1);
    assert_eq!(world.on_unit("peer/3", "relation-get -r cluster:0 --app key peer").stdout, "value\n");
}

#[test]
fn secrets_reach_every_unit() {
    let world = World::new();
    deploy(&world, "3");
    let uri = world.on_unit("peer/0", "secret-add --owner application word=hush").stdout.trim().to_owned();
    for unit in names(&world) {
        assert_eq!(world.on_unit(&unit, &format!("secret-get {uri} word")).stdout, "hush\n", "{unit}");
    }
    let user = world.ok(&["add-secret", "token", "word=one"]).trim().to_owned();
    assert_eq!(world.on_unit("peer/1", &format!("secret-get {user}")).stderr, "ERROR permission denied\n");
    world.ok(&["grant-secret", "token", "peer"]);
    for unit in ["peer/0", "peer/1"] {
        assert_eq!(world.on_unit(unit, &format!("secret-get {user} word")).stdout, "one\n", "{unit}");
    }
    world.ok(&["update-secret", "token", "word=two"]);
    let told = |unit: &str| world.hooks(unit).iter().filter(|hook| *hook == "secret-changed").count();
    world.wait("those who have read it", || told("peer/0") == 1 && told("peer/1") == 1);
    world.settled();
    assert_eq!(told("peer/2"), 0);
    assert_eq!(world.on_unit("peer/0", &format!("secret-get {user} word")).stdout, "one\n");
    assert_eq!(world.on_unit("peer/0", &format!("secret-get {user} --refresh word")).stdout, "two\n");
    assert_eq!(world.on_unit("peer/2", &format!("secret-get {user} word")).stdout, "two\n");
}
