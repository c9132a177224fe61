//! A client that writes a row every few milliseconds to whichever unit is the
//! primary, and remembers every row that was acknowledged and the longest time
//! without one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, NoTls};

const PACE: Duration = Duration::from_millis(20);
/// A unit that lost its power says nothing.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Writer(Arc<Mutex<State>>);

struct State {
    addresses: Vec<String>,
    password: String,
    held: bool,
    /// Nothing is on its way.
    idle: bool,
    next: i64,
    acknowledged: Vec<(i64, Instant)>,
    last: Instant,
    longest: Duration,
    why: String,
}

impl Writer {
    pub fn start(addresses: Vec<String>, password: String) -> Self {
        let state = State {
            addresses,
            password,
            held: false,
            idle: false,
            next: 1,
            acknowledged: Vec::new(),
            last: Instant::now(),
            longest: Duration::ZERO,
            why: String::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let its = Arc::downgrade(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(write(&its));
        });
        Self(state)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("the writer")
    }

    pub fn is_told(&self, addresses: Vec<String>, password: String) {
        let mut state = self.state();
        (state.addresses, state.password) = (addresses, password);
    }

    /// Pauses count from now on.
    pub fn mark(&self) {
        let mut state = self.state();
        (state.longest, state.last) = (Duration::ZERO, Instant::now());
    }

    pub fn longest_pause(&self) -> Duration {
        let state = self.state();
        state.longest.max(if state.held { Duration::ZERO } else { state.last.elapsed() })
    }

    /// Rows that were acknowledged.
    pub fn rows(&self) -> Vec<i64> {
        self.state().acknowledged.iter().map(|(row, _)| *row).collect()
    }

    /// Replication is asynchronous: a primary that dies may take with it what it
    /// had acknowledged a moment before.
    pub fn forgives(&self, died: Instant) {
        let from = died.checked_sub(Duration::from_secs(1)).unwrap_or(died);
        self.state().acknowledged.retain(|(_, at)| *at < from || *at > died + PATIENCE);
    }

    /// Nothing is written until the answer is dropped.
    pub fn hold(&self) -> Held<'_> {
        self.state().held = true;
        super::harness::until(20, "the writer pauses", || self.state().idle);
        Held(self)
    }

    /// What kept it from writing last.
    pub fn why(&self) -> String {
        self.state().why.clone()
    }
}

pub struct Held<'a>(&'a Writer);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        (state.held, state.last) = (false, Instant::now());
    }
}

async fn write(state: &std::sync::Weak<Mutex<State>>) {
    let mut client = None;
    loop {
        tokio::time::sleep(PACE).await;
        let Some(state) = state.upgrade() else { return };
        let (row, addresses, password) = {
            let mut state = state.lock().expect("the writer");
            state.idle = state.held;
            if state.held {
                continue;
            }
            state.next += 1;
            (state.next, state.addresses.clone(), state.password.clone())
        };
        let outcome = tokio::time::timeout(PATIENCE, insert(&mut client, &addresses, &password, row)).await;
        let mut state = state.lock().expect("the writer");
        match outcome {
            Ok(Ok(())) => {
                let now = Instant::now();
                state.longest = state.longest.max(now - state.last);
                state.last = now;
                state.acknowledged.push((row, now));
            }
            Ok(Err(error)) => (client, state.why) = (None, format!("{error:?}")),
            Err(_) => (client, state.why) = (None, "no answer".to_owned()),
        }
    }
}

async fn insert(
    client: &mut Option<Client>,
    addresses: &[String],
    password: &str,
    row: i64,
) -> Result<(), tokio_postgres::Error> {
    if client.is_none() {
        *client = Some(connect(addresses, password).await?);
    }
    let Some(client) = client else { return Ok(()) };
    client.execute("INSERT INTO written VALUES ($1)", &[&row]).await.map(drop)
}

async fn connect(addresses: &[String], password: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    for address in addresses {
        config.host(address);
    }
    config.port(5432).user("operator").dbname("postgres").password(password).application_name("writer");
    config.connect_timeout(Duration::from_millis(500)).target_session_attrs(TargetSessionAttrs::ReadWrite);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
