//! A client that never stops writing: numbered rows over TCP to whichever member
//! takes them, found by asking all. It remembers every row that was acknowledged
//! and how long it had to wait.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls};

use super::world::seats;
use crate::harness::Shell;

const PACE: Duration = Duration::from_millis(25);
/// Of one row, and of one attempt to connect.
const PATIENCE: Duration = Duration::from_secs(2);

/// Much longer than WAL is on its way to a replica.
const MOMENT: Duration = Duration::from_secs(1);

pub struct Writer {
    shell: &'static Shell,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Rows, and when they were acknowledged.
    acknowledged: BTreeMap<i64, Instant>,
    paused: bool,
    /// It has noticed that it is paused.
    rests: bool,
    /// When the newest row was acknowledged; `None` after a pause that was asked for.
    last: Option<Instant>,
    longest: Duration,
    passwords: Vec<String>,
    /// A connection for each row: each is a login.
    logs_in: bool,
    /// Times when no password was right.
    locked_out: Vec<String>,
    logins: u64,
}

impl Writer {
    pub fn new(shell: &'static Shell) -> Self {
        Self { shell, shared: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("the writer")
    }

    /// `storage` of a unit that knows the password.
    pub fn begin(&self, storage: &Path) {
        self.state().passwords = vec![password_of(storage)];
        let (shell, shared) = (self.shell, Arc::clone(&self.shared));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(write(shell, &shared));
        });
    }

    /// It rests; gives all rows that were acknowledged so far.
    pub fn pause(&self) -> BTreeSet<i64> {
        let mut state = self.state();
        state.paused = true;
        while !state.rests {
            state = self.shared.changed.wait(state).expect("the writer");
        }
        state.acknowledged.keys().copied().collect()
    }

    /// Replication is asynchronous: a primary that dies may take with it what it
    /// had acknowledged a moment before.
    pub fn forgives(&self, died: Instant) {
        let from = died.checked_sub(MOMENT).unwrap_or(died);
        self.state().acknowledged.retain(|_, at| *at < from || *at > died + PATIENCE);
    }

    pub fn go_on(&self) {
        let mut state = self.state();
        state.paused = false;
        state.last = None;
        self.shared.changed.notify_all();
    }

    pub fn forget_all(&self) {
        self.state().acknowledged.clear();
    }

    /// These are gone, as was asked for.
    #[allow(dead_code, reason = "for tests/restore.rs")]
    pub fn forget_rows(&self, gone: &[i64]) {
        let mut state = self.state();
        gone.iter().for_each(|row| {
            state.acknowledged.remove(row);
        });
    }

    /// These came back.
    #[allow(dead_code, reason = "for tests/restore.rs")]
    pub fn remember_rows(&self, back: &[i64]) {
        let now = Instant::now();
        self.state().acknowledged.extend(back.iter().map(|row| (*row, now)));
    }

    pub fn written(&self) -> usize {
        self.state().acknowledged.len()
    }

    /// It waits for an acknowledgement for the longest time so far, in seconds; the
    /// wait that goes on counts.
    pub fn longest(&self) -> f32 {
        let state = self.state();
        let now = state.last.map_or(Duration::ZERO, |last| last.elapsed());
        state.longest.max(now).as_secs_f32()
    }

    pub fn forget_pauses(&self) {
        let mut state = self.state();
        state.longest = Duration::ZERO;
        state.last = state.last.map(|_| Instant::now());
    }

    /// From now on a login for each row, by one of these passwords, in this order.
    pub fn log_in_with(&self, passwords: &[&str]) {
        let mut state = self.state();
        state.passwords = passwords.iter().map(|password| (*password).to_owned()).collect();
        (state.logs_in, state.logins) = (true, 0);
        state.locked_out.clear();
    }

    #[allow(dead_code, reason = "for tests/cluster.rs")]
    pub fn logins(&self) -> u64 {
        self.state().logins
    }

    /// Back to one connection. Gives the logins, and the times when no password was right.
    pub fn stay_connected_with(&self, password: &str) -> (u64, Vec<String>) {
        let mut state = self.state();
        state.passwords = vec![password.to_owned()];
        state.logs_in = false;
        (state.logins, std::mem::take(&mut state.locked_out))
    }
}

pub fn password_of(storage: &Path) -> String {
    let text = std::fs::read(PathBuf::from(storage).join("state/unit.json")).unwrap_or_default();
    let knows: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    knows["users"]["operator-password"].as_str().unwrap_or_default().to_owned()
}

async fn write(shell: &Shell, shared: &Shared) {
    let mut client: Option<Client> = None;
    // A number is tried once: what became of one that was not acknowledged is not known.
    for number in 1.. {
        rest_if_asked(shared);
        let logs_in = shared.state.lock().expect("the writer").logs_in;
        client = client.filter(|client| !client.is_closed() && !logs_in);
        let present = match client.take() {
            Some(client) => Some(client),
            None => connect(shell, shared).await,
        };
        if let Some(present) = present {
            let values: [&(dyn ToSql + Sync); 1] = [&number];
            let row = present.execute("INSERT INTO written VALUES ($1, md5($1::bigint::text))", &values);
            if let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, row).await {
                acknowledge(shared, number);
                client = Some(present);
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

fn rest_if_asked(shared: &Shared) {
    let mut state = shared.state.lock().expect("the writer");
    while state.paused {
        state.rests = true;
        shared.changed.notify_all();
        state = shared.changed.wait(state).expect("the writer");
    }
    state.rests = false;
    state.last.get_or_insert_with(Instant::now);
}

fn acknowledge(shared: &Shared, number: i64) {
    let mut state = shared.state.lock().expect("the writer");
    let since = state.last.replace(Instant::now()).map(|last| last.elapsed()).unwrap_or_default();
    state.longest = state.longest.max(since);
    state.acknowledged.insert(number, Instant::now());
}

async fn connect(shell: &Shell, shared: &Shared) -> Option<Client> {
    let addresses: Vec<_> = seats(shell)
        .into_iter()
        .filter(|(_, machine, _)| machine["juju-status"]["current"] != "down")
        .filter_map(|(_, _, unit)| unit["public-address"].as_str().map(ToOwned::to_owned))
        .collect();
    let passwords = shared.state.lock().expect("the writer").passwords.clone();
    let mut refusals = Vec::new();
    for password in &passwords {
        match log_in(&addresses, password).await {
            Ok(client) => {
                shared.state.lock().expect("the writer").logins += 1;
                return Some(client);
            }
            Err(Some(refusal)) => refusals.push(refusal),
            Err(None) => {}
        }
    }
    if refusals.len() == passwords.len() && !refusals.is_empty() {
        shared.state.lock().expect("the writer").locked_out.push(refusals.join("; "));
    }
    None
}

/// To the member that takes writes. `Err(Some)`: it says that the password is wrong.
async fn log_in(addresses: &[String], password: &str) -> Result<Client, Option<String>> {
    let mut refusal = None;
    for address in addresses {
        let mut config = Config::new();
        config.host(address).port(5432).user("operator").dbname("postgres").password(password);
        config.connect_timeout(Duration::from_secs(1)).ssl_mode(SslMode::Disable);
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let Ok(outcome) = tokio::time::timeout(PATIENCE, config.connect(NoTls)).await else { continue };
        match outcome {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return Ok(client);
            }
            Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => refusal = Some(error.to_string()),
            Err(_) => {}
        }
    }
    Err(refusal)
}
