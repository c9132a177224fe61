//! Members asked as an operator would ask them: PostgreSQL by its socket,
//! Patroni and etcd by HTTP. And whether all of them together are whole.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::world::{APP, Seat, World};
use crate::harness::{Said, Shell, until, until_some};
use crate::watch::{self, Process};

pub const PG: u16 = 5432;
pub const REST: u16 = 8008;
pub const ETCD: u16 = 2379;
pub const ETCD_PEER: u16 = 2380;

/// An answer by HTTP.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// HTTP's basic authentication.
pub fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// One request; `None` when nobody answers it.
pub fn http(address: &str, port: u16, method: &str, path: &str, authorization: &str, body: &str) -> Option<Answer> {
    let place: SocketAddr = format!("{address}:{port}").parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&place, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let authorization = match authorization {
        "" => String::new(),
        authorization => format!("Authorization: {authorization}\r\n"),
    };
    let length = body.len();
    // 1.0: neither chunks nor a connection that stays.
    let request =
        format!("{method} {path} HTTP/1.0\r\nHost: {place}\r\n{authorization}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    // One that is slow to close has said all it had to say.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

impl Seat {
    /// Patroni's and etcd's name of it.
    pub fn member(&self) -> String {
        self.unit.replace('/', "-")
    }

    pub fn psql(&self, shell: &Shell, sql: &str) -> Said {
        let socket = self.storage.join("run").display().to_string();
        shell.psql(&["-h", &socket, "-U", "operator", "-d", "postgres"], None, sql)
    }

    #[track_caller]
    pub fn sql(&self, shell: &Shell, sql: &str) -> String {
        self.psql(shell, sql).ok()
    }

    pub fn get(&self, path: &str) -> Option<Answer> {
        http(&self.address, REST, "GET", path, "", "")
    }

    /// A command to Patroni, with its password.
    pub fn command(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        http(&self.address, REST, method, path, &basic("patroni", &self.password("patroni")), body)
    }

    pub fn etcd(&self, path: &str, body: &str) -> Option<Answer> {
        http(&self.address, ETCD, "POST", &format!("/v3/{path}"), "", body)
    }

    /// What the agent wrote down of the unit.
    pub fn knows(&self) -> Value {
        let text = std::fs::read(self.storage.join("state/unit.json")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub fn password(&self, user: &str) -> String {
        self.knows()["users"][format!("{user}-password")].as_str().unwrap_or_default().to_owned()
    }

    pub fn log(&self, name: &str) -> String {
        let log = std::fs::read(self.storage.join("log").join(name)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The one process of a service.
    pub fn process(&self, service: &str) -> Option<Process> {
        self.processes(service).into_iter().next()
    }

    pub fn processes(&self, service: &str) -> Vec<Process> {
        let storage = self.storage.display().to_string();
        let below = |line: &str| line.contains(&format!("{storage}/")) || line.trim_end().ends_with(&storage);
        let is = |process: &Process| {
            let mut words = process.line.split(' ').map(|word| Path::new(word).file_name().unwrap_or_default());
            match service {
                // A Python program: its interpreter comes first.
                "patroni" => process.line.contains("/patroni ") && process.line.ends_with("/patroni.yml"),
                // Its children have a title instead of arguments, but not in their first moment.
                "postgres" => {
                    words.next().is_some_and(|word| word == "postgres")
                        && process.line.contains(" -D ")
                        && self.postmaster().is_none_or(|pid| pid == process.pid)
                }
                "unit-service" => process.line.contains(" unit-service "),
                other => words.next().is_some_and(|word| word == other),
            }
        };
        watch::processes().into_iter().filter(|process| below(&process.line) && is(process)).collect()
    }

    /// As PostgreSQL wrote it down.
    fn postmaster(&self) -> Option<i32> {
        let file = std::fs::read(self.storage.join("pg/data/postmaster.pid")).ok()?;
        String::from_utf8_lossy(&file).lines().next()?.trim().parse().ok()
    }

    pub fn is_primary(&self) -> bool {
        self.get("/primary").is_some_and(|answer| answer.status == 200)
    }
}

impl World {
    /// Present primary, as Patroni tells.
    #[track_caller]
    pub fn primary(&self) -> Seat {
        until_some(60, "there is a primary", || self.seats().into_iter().find(|seat| !seat.off && seat.is_primary()))
    }

    pub fn replicas(&self) -> Vec<Seat> {
        let primary = self.primary();
        self.seats().into_iter().filter(|seat| seat.unit != primary.unit).collect()
    }

    #[track_caller]
    pub fn replica(&self) -> Seat {
        self.replicas().into_iter().find(|seat| !seat.off).expect("a replica")
    }

    /// A planned change of the primary; gives the new one.
    #[track_caller]
    pub fn switchover(&self) -> Seat {
        let (old, new) = (self.primary(), self.replica());
        let body = format!(r#"{{"leader":"{}","candidate":"{}"}}"#, old.member(), new.member());
        let answer = old.command("POST", "/switchover", &body).expect("Patroni answers");
        assert!((200..300).contains(&answer.status), "{answer:?}");
        until(30, "the candidate is the primary", || new.is_primary());
        new
    }

    /// What keeps the cluster from being whole.
    fn wanting(&self, count: usize) -> Option<String> {
        let seats = self.seats();
        if seats.len() != count {
            return Some(format!("{} units", seats.len()));
        }
        if let Some(seat) = seats.iter().find(|seat| seat.status.0 != "active") {
            return Some(format!("{} is {}: {}", seat.unit, seat.status.0, seat.status.1));
        }
        let leaders = seats.iter().filter(|seat| seat.leads).count();
        if leaders != 1 {
            return Some(format!("{leaders} of Juju's leaders"));
        }
        let names: BTreeSet<_> = seats.iter().map(Seat::member).collect();
        seats.iter().find_map(|seat| etcd_is_wanting(seat, &names)).or_else(|| self.patroni_is_wanting(&seats, &names))
    }

    fn patroni_is_wanting(&self, seats: &[Seat], names: &BTreeSet<String>) -> Option<String> {
        let Some(primary) = seats.iter().find(|seat| seat.is_primary()) else { return Some("no primary".to_owned()) };
        let Some(cluster) = primary.get("/cluster") else { return Some("Patroni does not answer".to_owned()) };
        let members = cluster.json()["members"].as_array().cloned().unwrap_or_default();
        let text = |member: &Value, key: &str| member[key].as_str().unwrap_or_default().to_owned();
        let known: BTreeSet<_> = members.iter().map(|member| text(member, "name")).collect();
        let timelines: BTreeSet<_> = members.iter().map(|member| member["timeline"].as_u64()).collect();
        let well = members.iter().all(|member| ["running", "streaming"].contains(&text(member, "state").as_str()));
        let leaders = members.iter().filter(|member| member["role"] == "leader").count();
        if known != *names || timelines.len() != 1 || !well || leaders != 1 {
            return Some(format!("Patroni tells {}", cluster.body));
        }
        let streaming = primary.psql(
            self.shell,
            "SELECT string_agg(application_name, ' ' ORDER BY application_name) FROM pg_stat_replication WHERE state = 'streaming'",
        );
        let replicas: Vec<_> = names.iter().filter(|name| **name != primary.member()).map(String::as_str).collect();
        let streaming: BTreeSet<_> = streaming.stdout.split_whitespace().map(ToOwned::to_owned).collect();
        if !replicas.iter().all(|name| streaming.contains(*name)) || streaming.len() != replicas.len() {
            return Some(format!("only {streaming:?} stream"));
        }
        // The primary believes so of a replica without power, too: its own word counts.
        let receives = |seat: &&Seat| {
            let receiving = seat.psql(self.shell, "SELECT status FROM pg_stat_wal_receiver");
            receiving.stdout.trim() == "streaming"
        };
        let dry = seats.iter().filter(|seat| seat.unit != primary.unit).find(|seat| !receives(seat));
        dry.map(|seat| format!("{} receives no WAL", seat.unit))
    }

    /// All active, one etcd and one Patroni member a unit, all healthy, all streaming.
    #[track_caller]
    pub fn is_whole(&self, count: usize) {
        let last = RefCell::new(String::new());
        let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(180, "the cluster is whole", || match self.wanting(count) {
                None => true,
                Some(why) => {
                    last.replace(why);
                    false
                }
            });
        }));
        assert!(whole.is_ok(), "the cluster of {count} is not whole after 180 s: {}", last.borrow());
    }

    /// Every acknowledged row is on every member, and all have the same.
    #[track_caller]
    pub fn nothing_is_lost(&self) {
        let acknowledged = self.writer.pause();
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.rows_are_equal(&acknowledged)));
        self.writer.go_on();
        if let Err(panic) = checked {
            std::panic::resume_unwind(panic);
        }
    }

    fn rows_are_equal(&self, acknowledged: &BTreeSet<i64>) {
        let primary = self.primary();
        let there = primary.sql(self.shell, "SELECT n FROM written");
        let there: BTreeSet<i64> = there.lines().filter_map(|line| line.parse().ok()).collect();
        let lost: Vec<_> = acknowledged.difference(&there).collect();
        assert!(lost.is_empty(), "{} acknowledged rows are lost: {lost:?}", lost.len());
        const SUM: &str = "SELECT count(*) || ' ' || md5(string_agg(n || v, ',' ORDER BY n)) FROM written";
        let wanted = primary.sql(self.shell, SUM);
        for seat in self.seats().into_iter().filter(|seat| !seat.off) {
            until(30, &format!("{} has the rows of the primary", seat.unit), || {
                seat.psql(self.shell, SUM).stdout.trim() == wanted
            });
        }
    }

    /// Every member's rows, slots and keys of units that are no more.
    #[track_caller]
    pub fn has_no_trace_of(&self, gone: &[String]) {
        let names: Vec<_> = gone.iter().map(|unit| unit.replace('/', "-")).collect();
        let traces = || {
            let seats = self.seats();
            let primary = self.primary();
            let mut places = BTreeMap::new();
            for seat in &seats {
                places.insert(format!("etcd of {}", seat.unit), seat.etcd("cluster/member/list", "{}").map(|a| a.body));
                places.insert(format!("Patroni of {}", seat.unit), seat.get("/cluster").map(|answer| answer.body));
                let slots = seat.psql(self.shell, "SELECT replace(slot_name, '_', '-') FROM pg_replication_slots");
                places.insert(format!("slots of {}", seat.unit), Some(slots.stdout));
            }
            places.insert("failsafe".to_owned(), Some(primary.key(&format!("/service/{APP}/failsafe"))));
            let traces = |text: &Option<String>| {
                let text = text.clone().unwrap_or_default();
                let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_digit());
                names.iter().any(|name| text.match_indices(name.as_str()).any(|(at, _)| ends(&text[at + name.len()..])))
            };
            places.into_iter().filter(|(_, text)| traces(text)).map(|(place, _)| place).collect::<Vec<_>>()
        };
        let last = RefCell::new(Vec::new());
        let none = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(60, "no trace is left", || {
                last.replace(traces());
                last.borrow().is_empty()
            });
        }));
        assert!(none.is_ok(), "traces of {names:?} are left in {:?}", last.borrow());
    }
}

fn etcd_is_wanting(seat: &Seat, names: &BTreeSet<String>) -> Option<String> {
    let health = http(&seat.address, ETCD, "GET", "/health", "", "");
    if !health.as_ref().is_some_and(|answer| answer.json()["health"] == "true") {
        return Some(format!("etcd of {} is not healthy: {health:?}", seat.unit));
    }
    let list = seat.etcd("cluster/member/list", "{}").map(|answer| answer.json()).unwrap_or_default();
    let members = list["members"].as_array().cloned().unwrap_or_default();
    let known: BTreeSet<_> =
        members.iter().map(|member| member["name"].as_str().unwrap_or_default().to_owned()).collect();
    let learners = members.iter().any(|member| member["isLearner"] == true);
    (known != *names || members.len() != names.len() || learners).then(|| format!("etcd of {} tells {list}", seat.unit))
}

impl Seat {
    fn etcd_token(&self) -> String {
        let knows = self.knows();
        let (user, password) = (knows["etcd_user"].as_str().unwrap_or_default(), self.password("raft"));
        let body = serde_json::json!({"name": user, "password": password}).to_string();
        let answer = self.etcd("auth/authenticate", &body).map(|answer| answer.json()).unwrap_or_default();
        answer["token"].as_str().unwrap_or_default().to_owned()
    }

    /// A call with the unit's own password.
    pub fn etcd_as_member(&self, path: &str, body: &Value) -> Value {
        let path = format!("/v3/{path}");
        let answer = http(&self.address, ETCD, "POST", &path, &self.etcd_token(), &body.to_string());
        answer.map(|answer| answer.json()).unwrap_or_default()
    }

    pub fn key(&self, key: &str) -> String {
        use base64::Engine as _;
        let base64 = base64::engine::general_purpose::STANDARD;
        let answer = self.etcd_as_member("kv/range", &serde_json::json!({"key": base64.encode(key)}));
        let value = answer["kvs"][0]["value"].as_str().and_then(|value| base64.decode(value).ok());
        value.map(|value| String::from_utf8_lossy(&value).into_owned()).unwrap_or_default()
    }
}
