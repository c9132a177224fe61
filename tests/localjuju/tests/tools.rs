//! The hook tools as a table: commands -> exit code, standard output, standard error.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]

mod world;

use world::{Said, World};

fn model() -> World {
    let world = World::new();
    let charm = world
        .charm("server")
        .meta("provides: {db: {interface: pg}}\npeers: {cluster: {interface: p}}\nextra-bindings: {admin: {}}")
        .meta("storage: {data: {type: filesystem}, more: {type: filesystem, multiple: {range: 0-}}}")
        .file(
            "config.yaml",
            "options: {name: {type: string}, level: {type: int, default: 3}, on: {type: boolean, default: true}}",
        );
    world.ok(&["deploy", charm.text(), "-n", "2"]);
    let client = world
        .charm("client")
        .meta("requires: {db: {interface: pg}}")
        .dispatch("[ $HOOK = db-relation-created ] && relation-set mine=yes; exit 0");
    world.ok(&["deploy", client.text()]);
    world.ok(&["integrate", "server", "client"]);
    world.settled();
    world
}

#[track_caller]
fn check(world: &World, unit: &str, table: &[(&str, i32, &str, &str)]) {
    for (commands, code, stdout, stderr) in table {
        let address = world.ok(&["exec", "--unit", unit, "unit-get private-address"]);
        let fill = |text: &str| text.replace("ADDRESS", address.trim());
        let expected = Said { code: *code, stdout: fill(stdout), stderr: fill(stderr) };
        assert_eq!(world.on_unit(unit, commands), expected, "{unit}: {commands}");
    }
}

#[test]
fn tools_answer_as_juju_does() {
    let world = model();
    #[rustfmt::skip]
    check(&world, "server/0", &[
        // configuration
        ("config-get --format=json level",          0, "3\n", ""),
        ("config-get level",                        0, "3\n", ""),
        ("config-get on",                           0, "True\n", ""),
        ("config-get --format=json name",           0, "null\n", ""),
        ("config-get --format=json nonsense",       0, "null\n", ""),
        ("config-get --format=json",                0, "{\"level\":3,\"on\":true}\n", ""),
        ("config-get --format=json --all",          0, "{\"level\":3,\"name\":null,\"on\":true}\n", ""),
        ("config-get --nonsense",                   2, "", "ERROR option provided but not defined: --nonsense\n"),
        ("config-get a b",                          2, "", "ERROR unrecognized args: [\"b\"]\n"),
        ("config-get --format",                     2, "", "ERROR option needs an argument: --format\n"),
        ("config-get --help | head -c 6",           0, "Usage:", ""),
        // actions, outside of one
        ("action-get --format=json",                1, "", "ERROR not running an action\n"),
        ("action-fail",                             1, "", "ERROR not running an action\n"),
        ("action-set x",                            2, "", "ERROR argument \"x\" must be of the form key...=value\n"),
        ("action-set stdout=1",                     2, "", "ERROR cannot set reserved action key \"stdout\"\n"),
        ("action-set Big=1",                        2, "", "ERROR key \"Big\" must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric, hyphens and periods\n"),
        ("action-log",                              2, "", "ERROR no message specified\n"),
        // leadership
        ("is-leader --format=json",                 0, "true\n", ""),
        ("is-leader",                               0, "True\n", ""),
        ("leader-set a=b; leader-get a",            0, "b\n", ""),
        // network
        ("unit-get private-address",                0, "ADDRESS\n", ""),
        ("unit-get nonsense",                       2, "", "ERROR unknown setting \"nonsense\"\n"),
        ("network-get db --bind-address",           0, "ADDRESS\n", ""),
        ("network-get admin --ingress-address --format=json", 0, "\"ADDRESS\"\n", ""),
        ("network-get nonsense",                    1, "", "ERROR no network config found for binding \"nonsense\"\n"),
        ("network-get",                             2, "", "ERROR no arguments specified\n"),
        ("credential-get",                          1, "", "ERROR cannot access cloud credentials: permission denied\n"),
        ("resource-get img",                        1, "", "ERROR could not download resource: resource \"server/img\" not found\n"),
        // relations
        ("relation-ids --format=json db",           0, "[\"db:1\"]\n", ""),
        ("relation-ids --format=json nonsense",     0, "[]\n", ""),
        ("relation-ids",                            2, "", "ERROR no endpoint name specified\n"),
        ("relation-list -r 1 --format=json",        0, "[\"client/0\"]\n", ""),
        ("relation-list -r db:1 --app --format=json", 0, "\"client\"\n", ""),
        ("relation-list -r cluster:0 --format=json", 0, "[\"server/1\"]\n", ""),
        ("relation-list",                           2, "", "ERROR no relation id specified\n"),
        ("relation-list -r x",                      2, "", "ERROR invalid value \"x\" for option -r: invalid relation id\n"),
        ("relation-list -r 99",                     2, "", "ERROR invalid value \"99\" for option -r: relation not found\n"),
        ("relation-get -r 1 mine client/0",         0, "yes\n", ""),
        ("relation-get -r 1 --format=json none client/0", 0, "null\n", ""),
        ("relation-get -r 1 - client",              2, "", "ERROR expected unit name, got application name \"client\"\n"),
        ("relation-get -r 1 - client/7",            1, "", "ERROR cannot read relation settings: unit \"client/7\": settings not found\n"),
        ("relation-get -r 1",                       2, "", "ERROR no unit id specified\n"),
        ("relation-get -r 1 --app --format=json - client/0", 0, "{}\n", ""),
        ("relation-get -r 1 ingress-address server/0", 0, "ADDRESS\n", ""),
        ("relation-set -r 1 a=1; relation-get -r 1 a server/0; relation-set -r 1 a=; relation-get -r 1 a server/0 --format=json", 0, "1\nnull\n", ""),
        ("echo '{\"j\": \"two words\"}' | relation-set -r 1 --file - k=v; relation-get -r 1 j server/0", 0, "two words\n", ""),
        ("relation-set -r 1 nonsense",              2, "", "ERROR expected \"key=value\", got \"nonsense\"\n"),
        ("relation-set -r 1 --app x=y; relation-get -r 1 --app x server", 0, "y\n", ""),
        // secrets
        ("secret-ids --format=json",                0, "null\n", ""),
        ("secret-get",                              2, "", "ERROR require either a secret URI or label\n"),
        ("secret-get --label none",                 1, "", "ERROR consumer label \"none\" not found\n"),
        ("secret-get x",                            2, "", "ERROR secret URI \"x\" not valid\n"),
        ("secret-get 01234567890123456789",         1, "", "ERROR secret \"01234567890123456789\" not found\n"),
        ("secret-get --peek --refresh --label x",   2, "", "ERROR specify one of --peek or --refresh but not both\n"),
        ("secret-add",                              2, "", "ERROR missing secret value or filename\n"),
        ("secret-add ab=1",                         2, "", "ERROR key \"ab\" not valid\n"),
        ("secret-add --owner me abc=1",             2, "", "ERROR secret owner \"me\" not valid\n"),
        ("secret-add --rotate often abc=1",         2, "", "ERROR rotate policy \"often\" not valid\n"),
        // status
        ("status-set nonsense",                     2, "", "ERROR invalid status \"nonsense\", expected one of [maintenance blocked waiting active]\n"),
        ("status-set active fine; status-get --format=json", 0, "{\"status\":\"active\"}\n", ""),
        ("status-get --include-data --format=json", 0, "{\"status\":\"active\",\"message\":\"fine\",\"status-data\":{}}\n", ""),
        ("status-set blocked -- -x; status-get --include-data --format=json", 0, "{\"status\":\"blocked\",\"message\":\"-x\",\"status-data\":{}}\n", ""),
        ("juju-log",                                2, "", "ERROR no message specified\n"),
        ("juju-log -l WRONG -- hi",                 0, "", ""),
        // state
        ("state-get nothing --format=json",         0, "\"\"\n", ""),
        ("state-get nothing --strict",              1, "", "ERROR \"nothing\" not found\n"),
        ("state-set a=1; state-get a; state-delete a; state-get a", 0, "1\n", ""),
        ("state-set b=2",                           0, "", ""),
        ("state-get --format=json",                 0, "{\"b\":\"2\"}\n", ""),
        ("state-set $(head -c 257 /dev/zero | tr '\\0' k)=1", 1, "", "ERROR max allowed key length (256) exceeded\n"),
        // storage
        ("storage-list --format=json",              0, "[\"data/0\"]\n", ""),
        ("storage-get -s data/0 kind",              0, "filesystem\n", ""),
        ("storage-get",                             2, "", "ERROR no storage instance specified\n"),
        ("storage-get -s data/9",                   2, "", "ERROR invalid value \"data/9\" for option -s: storage not found\n"),
        ("storage-add nonsense",                    1, "", "ERROR storage name \"nonsense\" not found in charm\n"),
        ("storage-add data",                        1, "", "ERROR cannot add storage: charm storage \"data\" is not multiple\n"),
        // ports
        ("open-port 0/tcp",                         2, "", "ERROR expected <port>[/<protocol>] or <from>-<to>[/<protocol>] or icmp; got \"0/tcp\"\n"),
        ("open-port 80; open-port 100-200/udp; opened-ports --format=json", 0, "[]\n", ""),
        ("opened-ports --format=json",              0, "[\"80/tcp\",\"100-200/udp\"]\n", ""),
        ("close-port 80",                           0, "", ""),
        ("opened-ports",                            0, "100-200/udp\n", ""),
    ]);
    #[rustfmt::skip]
    check(&world, "server/1", &[
        ("is-leader --format=json",                 0, "false\n", ""),
        ("leader-set a=c",                          1, "", "ERROR cannot write leadership settings: cannot write settings: not the leader\n"),
        ("leader-get a",                            0, "b\n", ""),
        ("relation-set -r 1 --app x=y",             1, "", "ERROR cannot write relation settings\n"),
        ("relation-get -r 1 --app - server",        1, "", "ERROR permission denied\n"),
        ("status-set --application active",         1, "", "ERROR this unit is not the leader\n"),
        ("status-get --application",                1, "", "ERROR this unit is not the leader\n"),
        ("secret-add abc=1",                        1, "", "ERROR this unit is not the leader\n"),
    ]);
}

#[test]
fn outside_of_a_run_tools_refuse() {
    let world = model();
    let tool = world.home().join("models/m/tools/unit-server-0/is-leader");
    let run = |variables: &[(&str, &str)]| -> Said {
        std::process::Command::new(&tool).env_clear().envs(variables.iter().copied()).output().unwrap().into()
    };
    let socket = world.unit_directory("server/0").join("agent.socket");
    let refused = |stderr: &str| Said { code: 1, stdout: String::new(), stderr: stderr.to_owned() };
    assert_eq!(run(&[]), refused("ERROR JUJU_CONTEXT_ID not set\n"));
    let old = world.on_unit("server/0", "printf %s $JUJU_CONTEXT_ID").stdout;
    let variables = [("JUJU_CONTEXT_ID", old.as_str()), ("JUJU_AGENT_SOCKET_ADDRESS", socket.to_str().unwrap())];
    assert_eq!(run(&variables), refused(&format!("ERROR bad request: expected valid context id, got {old:?}\n")));
}

#[test]
fn goal_state_names_the_own_units_and_the_related() {
    let world = model();
    let goal = world.on_unit("server/0", "goal-state --format=json").stdout;
    let goal: serde_json::Value = serde_json::from_str(&goal).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&goal["units"]), ["server/0", "server/1"]);
    assert_eq!(keys(&goal["relations"]), ["db"]);
    assert_eq!(keys(&goal["relations"]["db"]), ["client", "client/0"]);
}
