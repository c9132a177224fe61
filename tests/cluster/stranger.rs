//! Somebody on the network without a password: what listens, what is refused,
//! and what stays readable. Without TLS the network itself is trusted: what
//! units say to each other can be read on the way, see README.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::json;

use super::members::{ETCD, ETCD_PEER, PG, REST, basic, http};
use super::world::{Seat, World};

/// What a unit listens on, all of it.
const PORTS: [u16; 4] = [ETCD, ETCD_PEER, PG, REST];

fn listening(seat: &Seat) -> BTreeSet<u16> {
    let ss = |protocol: &str| {
        let mut command = match &seat.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, "ss"]);
                command
            }
            None => Command::new("ss"),
        };
        let output = command.args(["-H", "-n", "-l", protocol]).output().expect("ss");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let own = |local: &str| seat.namespace.is_some() || local.starts_with(&seat.address);
    let mut ports = BTreeSet::new();
    for protocol in ["-t", "-u"] {
        let text = ss(protocol);
        let local = text.lines().filter_map(|line| line.split_whitespace().nth(3)).filter(|local| own(local));
        ports.extend(local.filter_map(|local| local.rsplit(':').next()?.parse::<u16>().ok()));
    }
    ports
}

pub fn ports(world: &'static World) {
    for seat in world.seats() {
        assert_eq!(listening(&seat), BTreeSet::from(PORTS), "of {}", seat.unit);
    }
}

pub fn etcd(world: &'static World) {
    let seat = world.primary();
    let all = json!({"key": "AA==", "range_end": "AA=="});
    let none = json!({});
    #[rustfmt::skip]
    let refused = [
        ("kv/range",              all.clone()),
        ("kv/put",                json!({"key": "L3g=", "value": "eA=="})),
        ("kv/deleterange",        all.clone()),
        ("cluster/member/add",    json!({"peerURLs": ["http://198.51.100.1:2380"], "isLearner": true})),
        ("cluster/member/remove", json!({"ID": "1"})),
        ("cluster/member/update", json!({"ID": "1", "peerURLs": ["http://198.51.100.1:2380"]})),
        ("auth/disable",          none.clone()),
        ("auth/user/list",        none.clone()),
        ("auth/user/add",         json!({"name": "stranger", "password": "x"})),
        ("auth/user/changepw",    json!({"name": "root", "password": "x"})),
        ("auth/role/list",        none.clone()),
        ("maintenance/snapshot",  none.clone()),
        ("maintenance/defragment", none.clone()),
    ];
    for (path, body) in refused {
        for authorization in ["", "a-token-that-is-none.1"] {
            let answer = http(&seat.address, ETCD, "POST", &format!("/v3/{path}"), authorization, &body.to_string());
            let answer = answer.unwrap_or_else(|| panic!("{path}: no answer"));
            let words = ["user name is empty", "invalid auth token", "permission denied"];
            assert!(words.iter().any(|words| answer.body.contains(words)), "{path} `{authorization}`: {answer:?}");
        }
    }
    let body = json!({"name": "root", "password": "root"}).to_string();
    let answer = seat.etcd("auth/authenticate", &body).expect("an answer");
    assert!(answer.body.contains("invalid user ID or password"), "{answer:?}");
    // Names and addresses of the members stay readable, and how much is stored; no key is. Old revisions of keys may
    // be dropped by anybody: etcd 3.4 asks nobody who does that for a password, and no present key goes by it.
    let open = [
        ("cluster/member/list", none.clone()),
        ("maintenance/status", none),
        ("kv/compaction", json!({"revision": "1"})),
    ];
    for (path, body) in open {
        let answer = seat.etcd(path, &body.to_string()).expect("an answer");
        assert!(answer.status == 200 || answer.body.contains("has been compacted"), "{path}: {answer:?}");
    }
    for port in [ETCD, ETCD_PEER] {
        for path in ["/v2/keys/", "/v2/members", "/v3/kv/range", "/debug/vars", "/metrics", "/members", "/version"] {
            let Some(answer) = http(&seat.address, port, "GET", path, "", "") else { continue };
            assert!(!answer.body.contains("/service/"), "{port} {path}: {}", answer.body);
            world.has_no_secret(&seat, &format!("{port} {path}"), &answer.body);
        }
        let answer = http(&seat.address, ETCD_PEER, "POST", "/v3/kv/range", "", &all.to_string());
        assert!(answer.is_none_or(|answer| answer.status == 404), "etcd's peer port gives no keys");
    }
}

impl World {
    fn has_no_secret(&self, seat: &Seat, place: &str, text: &str) {
        for user in ["operator", "replication", "rewind", "monitoring", "patroni", "raft"] {
            assert!(!text.contains(&seat.password(user)), "{user}'s password is in {place}");
        }
    }
}

pub fn patroni(world: &'static World) {
    let seats = world.seats();
    let (primary, replica) = (world.primary(), world.replica());
    let planned = json!({"leader": primary.member(), "candidate": replica.member()}).to_string();
    #[rustfmt::skip]
    let commands = [
        ("POST",   "/switchover",   planned.as_str()),
        ("DELETE", "/switchover",   ""),
        ("POST",   "/failover",     &planned),
        ("POST",   "/restart",      "{}"),
        ("DELETE", "/restart",      ""),
        ("POST",   "/reload",       ""),
        ("POST",   "/reinitialize", r#"{"force": true}"#),
        ("PATCH",  "/config",       r#"{"pause": true}"#),
        ("PUT",    "/config",       r#"{"pause": true}"#),
        ("POST",   "/sigterm",      ""),
        ("POST",   "/failsafe",     "{}"),
    ];
    for seat in &seats {
        for (method, path, body) in commands {
            for authorization in [String::new(), basic("patroni", "patroni"), basic("patroni", "")] {
                let Some(answer) = http(&seat.address, REST, method, path, &authorization, body) else {
                    panic!("{method} {path} of {}: no answer", seat.unit)
                };
                assert_eq!(answer.status, 401, "{method} {path} `{authorization}`: {answer:?}");
            }
        }
        // The state of the cluster and its dynamic settings stay readable, for load balancers and monitoring.
        for path in ["/patroni", "/cluster", "/config", "/history", "/metrics", "/health"] {
            let answer = seat.get(path).unwrap_or_else(|| panic!("{path}: no answer"));
            assert!(answer.status < 400, "{path}: {answer:?}");
            world.has_no_secret(seat, path, &answer.body);
        }
    }
    assert_eq!(world.primary().unit, primary.unit);
    world.is_whole(3);
}

pub fn postgres(world: &'static World) {
    for seat in world.seats() {
        for (user, database) in [("operator", "postgres"), ("postgres", "template1")] {
            let place = ["-h", &seat.address, "-U", user, "-d", database];
            let said = world.shell.psql(&place, None, "SELECT 1");
            assert!(!said.good && said.stderr.contains("no password supplied"), "{user}: {said:?}");
            let said = world.shell.psql(&place, Some(user), "SELECT 1");
            assert!(!said.good && said.stderr.contains("password authentication failed"), "{user}: {said:?}");
        }
        let copy = format!("host={} user=replication replication=true dbname=replication", seat.address);
        let said = world.shell.psql(&[&copy], Some("replication"), "IDENTIFY_SYSTEM");
        assert!(!said.good && said.stderr.contains("password authentication failed"), "{said:?}");
    }
}
