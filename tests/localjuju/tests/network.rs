//! Models whose units have networks of their own: who reaches whom, cut and healed, and that nothing is left.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod world;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;
use world::World;

const LISTEN: &str = "use IO::Socket::INET;\n\
    my $server = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => 7000, Listen => 9, ReuseAddr => 1) or die;\n\
    while (my $client = $server->accept()) { print $client \"hello\\n\"; close $client }\n";

/// A charm with a daemon that listens on all addresses of its machine.
fn deploy(world: &World, units: &str) {
    let charm = world
        .charm("net")
        .meta("peers: {cluster: {interface: p}}")
        .file("listen.pl", LISTEN)
        .dispatch("[ $HOOK = start ] && setsid perl $CHARM_DIR/listen.pl < /dev/null > /dev/null 2>&1 & exit 0");
    world.ok(&["deploy", charm.text(), "-n", units]);
    world.settled();
    let units = world.status()["applications"]["net"]["units"].as_object().unwrap().clone();
    for unit in units.values() {
        world.wait("the charm's daemon", || hello(unit["public-address"].as_str().unwrap()));
    }
}

fn hello(address: &str) -> bool {
    let target = format!("{address}:7000").parse().unwrap();
    let Ok(stream) = TcpStream::connect_timeout(&target, Duration::from_millis(500)) else { return false };
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    std::io::read_to_string(stream).is_ok_and(|text| text == "hello\n")
}

/// An open connection with a process on the unit.
fn conversation(world: &World, unit: &str, address: &str) -> TcpStream {
    let script = "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr => \"0.0.0.0\", LocalPort => 7001, Listen => 1); \
        my $c = $s->accept(); print $c \"x\"; $c->flush(); sleep 1000";
    world.on_unit(unit, &format!("setsid perl -e '{script}' < /dev/null > /dev/null 2>&1 &"));
    let mut stream = None;
    world.wait("the conversation", || {
        stream = TcpStream::connect(format!("{address}:7001")).ok();
        stream.is_some()
    });
    let mut stream = stream.unwrap();
    stream.read_exact(&mut [0]).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream
}

fn reaches(world: &World, from: &str, address: &str) -> bool {
    let commands = format!("timeout 1 bash -c 'read word < /dev/tcp/{address}/7000; echo $word'");
    world.on_unit(from, &commands).stdout == "hello\n"
}

/// Interfaces and namespaces of this model.
fn left(bridge: &str) -> Vec<String> {
    let names = |directory: &str| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let all = names("/sys/class/net").into_iter().chain(names("/run/netns"));
    all.filter(|name| name.starts_with(bridge)).collect()
}

fn namespace(world: &World, unit: &str) -> String {
    world.json(&["show-unit", unit])[unit]["network-namespace"].as_str().unwrap().to_owned()
}

#[test]
fn every_unit_has_a_network_of_its_own() {
    let Some(world) = World::with_namespaces() else { return };
    deploy(&world, "3");
    let (one, two) = (world.address("net/0"), world.address("net/1"));
    let name = namespace(&world, "net/0");
    let bridge = name.split('-').next().unwrap().to_owned();
    assert!(one.starts_with("198.18.") && one != two, "{one} {two}");
    assert_eq!(name, format!("{bridge}-net-0"));

    // The same port thrice, and every one is its own.
    assert!(hello(&one) && hello(&two));
    assert!(reaches(&world, "net/0", &two) && reaches(&world, "net/1", &one));
    assert!(reaches(&world, "net/0", "127.0.0.1"));
    let host = format!("{}.254", one.rsplit_once('.').unwrap().0);
    let listener = TcpListener::bind((host.as_str(), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let asking = std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"host\n").unwrap());
    let said = world.on_unit("net/2", &format!("timeout 5 bash -c 'read word < /dev/tcp/{host}/{port}; echo $word'"));
    assert_eq!(said.stdout, "host\n");
    asking.join().unwrap();

    let network: Value =
        serde_json::from_str(&world.on_unit("net/0", "network-get cluster --format=json").stdout).unwrap();
    let bind = &network["bind-addresses"][0];
    assert_eq!(bind["interface-name"], "eth0");
    assert_eq!(bind["addresses"][0]["value"], one.as_str());
    assert_eq!(bind["addresses"][0]["cidr"], format!("{}.0/24", one.rsplit_once('.').unwrap().0));
    let mac = world.on_unit("net/0", "ip -o link show eth0");
    assert!(mac.stdout.contains(bind["mac-address"].as_str().unwrap()), "{}", mac.stdout);
    assert_eq!(world.on_unit("net/0", "relation-get -r cluster:0 ingress-address net/1").stdout, format!("{two}\n"));
    assert_eq!(world.on_unit("net/0", "unit-get public-address").stdout, format!("{one}\n"));

    // What a charm is run as is the same as without.
    let ran = world.ok(&["exec", "--unit", "net/0", "pwd; echo $JUJU_UNIT_NAME"]);
    assert_eq!(ran, format!("{}\nnet/0\n", world.unit_directory("net/0").join("charm").display()));

    world.ok(&["remove-unit", "net/2", "--no-prompt"]);
    world.wait("the namespace's end", || !left(&bridge).iter().any(|name| name.ends_with("-net-2")));
    world.wait("the link's end", || left(&bridge).len() == 5);
    let refused = world.juju(&["model-config", "localjuju-network=loopback"]);
    assert_eq!(refused.stderr, "ERROR localjuju-network can only be changed while the model has no units\n");
    world.ok(&["destroy-model", "m", "--no-prompt"]);
    assert_eq!(left(&bridge), [""; 0]);
}

#[test]
fn a_cut_link_leads_nowhere_until_it_is_healed() {
    let Some(world) = World::with_namespaces() else { return };
    deploy(&world, "3");
    let addresses: Vec<String> = (0..3).map(|unit| world.address(&format!("net/{unit}"))).collect();
    assert!(hello(&addresses[0]) && reaches(&world, "net/0", &addresses[1]));
    world.ok(&["network", "net/0", "cut"]);
    assert!(!hello(&addresses[0]));
    assert!(!reaches(&world, "net/0", &addresses[1]) && !reaches(&world, "net/1", &addresses[0]));
    assert!(reaches(&world, "net/1", &addresses[2]), "the others go on");
    // It notices nothing: its interface is up, its own address answers, Juju reaches it.
    assert!(reaches(&world, "net/0", &addresses[0]));
    assert!(world.on_unit("net/0", "ip -o link show eth0").stdout.contains("LOWER_UP"));
    assert_eq!(world.unit("net/0")["juju-status"]["current"], "idle");
    // Not even the host answers there for the address it has on the bridge.
    let host = format!("{}.254", addresses[0].rsplit_once('.').unwrap().0);
    let listener = TcpListener::bind((host.as_str(), 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let said =
        world.on_unit("net/0", &format!("ip neigh flush all; timeout 1 bash -c 'echo > /dev/tcp/{host}/{port}'"));
    assert!(said.code != 0 && listener.accept().is_err());
    // A new unit does not heal it.
    world.ok(&["add-unit", "net"]);
    world.settled();
    assert!(!hello(&addresses[0]));
    world.ok(&["network", "net/0", "heal"]);
    world.wait("an answer", || hello(&addresses[0]) && reaches(&world, "net/0", &addresses[1]));
}

#[test]
fn without_power_a_machine_is_silent_and_may_come_back_elsewhere() {
    let Some(world) = World::with_namespaces() else { return };
    deploy(&world, "2");
    let (old, peer) = (world.address("net/1"), world.address("net/0"));
    let bridge = namespace(&world, "net/0").split('-').next().unwrap().to_owned();
    assert!(hello(&old));
    let mut talk = conversation(&world, "net/1", &old);
    world.ok(&["power-off", "net/1"]);
    let silence = talk.read(&mut [0]).unwrap_err().kind();
    assert_eq!(silence, std::io::ErrorKind::WouldBlock, "who talked with it hears no goodbye");
    assert!(!hello(&old));
    assert!(!left(&bridge).iter().any(|name| name.ends_with("-net-1")));
    let new = world.ok(&["set-address", "net/1"]).trim().to_owned();
    assert_ne!(new, old);
    world.ok(&["power-on", "net/1"]);
    world.wait("the daemon that start has started", || hello(&new));
    world.settled();
    assert!(reaches(&world, "net/0", &new) && reaches(&world, "net/1", &peer) && !hello(&old));
    assert_eq!(world.address("net/1"), new);
    let seen = || world.on_unit("net/0", "relation-get -r cluster:0 ingress-address net/1").stdout;
    world.wait("the bag", || seen() == format!("{new}\n"));
    // Also while it is on, and to an address that is named.
    world.ok(&["set-address", "net/1", &old]);
    world.wait("the old address", || hello(&old) && !hello(&new));
    assert!(world.juju(&["set-address", "net/1", &peer]).stderr.contains("is in use"));
    assert!(world.juju(&["set-address", "net/1", "10.0.0.1"]).stderr.contains("is not one of 198.18."));
}

#[test]
fn a_namespace_survives_the_daemon_and_leftovers_disturb_nobody() {
    let Some(world) = World::with_namespaces() else { return };
    deploy(&world, "1");
    let address = world.address("net/0");
    world.ok(&["stop-daemon"]);
    world.settled();
    assert!(hello(&address), "the charm's own daemon goes on");
    assert_eq!(world.address("net/0"), address);
    world.ok(&["network", "net/0", "cut"]);
    let other = World::with_namespaces().unwrap();
    deploy(&other, "1");
    assert_ne!(other.address("net/0").rsplit_once('.').unwrap().0, address.rsplit_once('.').unwrap().0);
    assert!(hello(&other.address("net/0")));
}

#[test]
fn a_subordinate_shares_its_machine() {
    let Some(world) = World::with_namespaces() else { return };
    deploy(&world, "1");
    let sub = world.charm("sub").meta("subordinate: true\nrequires: {host: {interface: juju-info, scope: container}}");
    world.ok(&["deploy", sub.text()]);
    world.ok(&["integrate", "net", "sub"]);
    world.wait("the subordinate", || world.hooks("sub/0").iter().any(|hook| hook == "start"));
    world.settled();
    assert!(reaches(&world, "sub/0", "127.0.0.1"), "the same loopback");
    assert_eq!(namespace(&world, "sub/0"), namespace(&world, "net/0"));
    world.ok(&["power-off", "net/0"]);
    assert_eq!(world.unit("net/0")["subordinates"]["sub/0"]["juju-status"]["current"], "lost");
    let stuck = world.juju(&["destroy-model", "m", "--no-prompt"]);
    assert!(stuck.stderr.contains("are powered off and cannot end"), "{}", stuck.stderr);
    world.ok(&["power-on", "sub/0"]);
    world.wait("both", || {
        ["net/0", "sub/0"].iter().all(|unit| world.hooks(unit).iter().filter(|hook| *hook == "start").count() == 2)
    });
}

#[test]
fn where_namespaces_are_not_permitted_the_setting_is_refused() {
    use std::os::unix::process::CommandExt as _;
    let world = World::empty();
    let home = world.directory.path().join("nobody");
    fs::create_dir(&home).unwrap();
    if std::os::unix::fs::chown(&home, Some(65534), Some(65534)).is_err() {
        return;
    }
    let as_nobody = |args: &[&str]| world.command(args).env("LOCALJUJU_HOME", &home).uid(65534).gid(65534).output();
    // The binary may lie where nobody else may go.
    let Ok(made) = as_nobody(&["add-model", "m"]) else { return };
    assert!(made.status.success());
    let said: world::Said = as_nobody(&["model-config", "localjuju-network=namespaces"]).unwrap().into();
    let added: world::Said = as_nobody(&["add-model", "n", "--config", "localjuju-network=namespaces"]).unwrap().into();
    as_nobody(&["destroy-model", "m", "--no-prompt"]).unwrap();
    for said in [said, added] {
        assert_eq!(said.code, 1);
        assert!(said.stderr.contains("network namespaces are not permitted on this machine: "), "{}", said.stderr);
    }
    assert!(!home.join("models/n").exists());
}

#[test]
fn the_setting_is_checked() {
    let world = World::new();
    assert_eq!(
        world.juju(&["model-config", "localjuju-network=wire"]).stderr,
        "ERROR localjuju-network: expected loopback or namespaces, got \"wire\"\n"
    );
    let charm = world.charm("plain");
    world.ok(&["deploy", charm.text()]);
    world.settled();
    assert!(
        world.juju(&["model-config", "localjuju-network=namespaces"]).stderr.contains("while the model has no units")
    );
    assert!(world.juju(&["network", "plain/0", "cut"]).stderr.contains("there is no link to cut"));
    assert!(world.address("plain/0").starts_with("127."));
}
