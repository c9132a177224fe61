//! What every hook does: see what is asked for, make it so, say how it is.

use std::env;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::options::Options;
use super::publish::{self, ENDPOINT, Served};
use super::{home, tools};
use crate::home::{Home, ServerConfig};
use crate::keys::Keys;
use crate::server::faults::{self, Fault, Mode};
use crate::store::{Refused, Store};
use crate::{daemon, pki};

/// What of the options was carried out already: these act by changing, not by being.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    rotate_keys: i64,
    fault: Mode,
    fault_rate: u64,
}

const DONE: &str = "done.json";

pub(super) fn run() -> Result<()> {
    let Some(home) = home()? else {
        return tools::status("waiting", "for the storage `data`");
    };
    let options = match Options::read(tools::config()?) {
        Ok(options) => options,
        Err(err) => return tools::status("blocked", &format!("{err:#}")),
    };
    let keys = changed_options(&home, &options)?;
    let served = up(&home, &options, keys)?;
    let relations = if tools::is_leader()? { tell(&home, &options, &served)? } else { 0 };
    let fault = faults::asked(&home)?;
    tools::version(env!("CARGO_PKG_VERSION"))?;
    tools::status("active", &status(&served.endpoint, relations, fault.mode))
}

/// New keys and another fault, when their options have changed since they were last heard.
fn changed_options(home: &Home, options: &Options) -> Result<Keys> {
    let asked = Done { rotate_keys: options.raw.rotate_keys, fault: options.fault, fault_rate: options.raw.fault_rate };
    let done: Option<Done> = home.read_json(DONE)?;
    let keys = match &done {
        Some(done) if done.rotate_keys != asked.rotate_keys => Keys::rotate(home)?,
        _ => Keys::ensure(home)?,
    };
    let heard = done.as_ref().is_some_and(|done| (done.fault, done.fault_rate) == (asked.fault, asked.fault_rate));
    if !heard && (done.is_some() || asked.fault != Mode::None) {
        play(home, asked.fault, asked.fault_rate)?;
    }
    if done.as_ref() != Some(&asked) {
        home.write_json(DONE, &asked, 0o644)?;
    }
    Ok(keys)
}

/// Asks for a fault and, when a server runs, waits until it plays it.
pub(super) fn play(home: &Home, mode: Mode, rate: u64) -> Result<Fault> {
    let fault = faults::ask(home, mode, rate)?;
    if mode == Mode::Stop {
        daemon::stop(home)?;
    } else if home.server_config().exists() {
        daemon::start(home, &env::current_exe()?)?;
        daemon::wait_until("the server plays the fault", || faults::is_applied(home, &fault))?;
    }
    Ok(fault)
}

/// The server runs, with these settings.
fn up(home: &Home, options: &Options, keys: Keys) -> Result<Served> {
    let address = tools::bind_address(ENDPOINT)?;
    let config = ServerConfig {
        address: address.parse().with_context(|| format!("`{address}` is no address"))?,
        hostname: options.raw.hostname.clone(),
        region: options.raw.region.clone(),
        fsync: options.raw.fsync,
        log_requests: options.raw.log_requests,
    };
    if home.read_json::<ServerConfig>("server.json").ok().flatten().as_ref() != Some(&config) {
        daemon::stop(home)?;
        home.write_json("server.json", &config, 0o644)?;
    }
    let renewed = pki::ensure(home, config.address, &config.hostname)?;
    if renewed {
        daemon::stop(home)?;
    }
    // The fault `stop` may be the first thing that is asked for; the port is chosen all the same.
    if faults::asked(home)?.mode != Mode::Stop || home.port().is_none() {
        daemon::start(home, &env::current_exe()?)?;
    }
    if faults::asked(home)?.mode == Mode::Stop {
        daemon::stop(home)?;
    }
    let port = home.port().context("the server has chosen no port")?;
    tools::open_port(port)?;
    Ok(Served { endpoint: endpoint(&config, port), keys, ca: pki::ca_pem(home)? })
}

pub(super) fn endpoint(config: &ServerConfig, port: u16) -> String {
    match config.host() {
        address if address.contains(':') => format!("https://[{address}]:{port}"),
        host => format!("https://{host}:{port}"),
    }
}

/// How many relations there are, all of them told.
fn tell(home: &Home, options: &Options, served: &Served) -> Result<usize> {
    let mut buckets = Vec::from_iter((!options.raw.bucket.is_empty()).then(|| options.raw.bucket.clone()));
    let broken = super::variable("JUJU_DISPATCH_PATH").ends_with("-relation-broken");
    let broken = broken.then(|| super::variable("JUJU_RELATION_ID"));
    let mut ids = tools::relation_ids(ENDPOINT)?;
    ids.retain(|id| Some(id) != broken.as_ref());
    for id in &ids {
        buckets.extend(publish::publish(id, &publish::our_app(), options, served)?);
    }
    if options.raw.create_bucket && !buckets.is_empty() {
        let store = Store::visit(home.dir())?;
        for bucket in &buckets {
            match store.create_bucket(bucket) {
                Ok(()) | Err(Refused::BucketExists) => {}
                Err(err) => anyhow::bail!("creating the bucket `{bucket}`: {err:?}"),
            }
        }
    }
    Ok(ids.len())
}

fn status(endpoint: &str, relations: usize, fault: Mode) -> String {
    let whom = match relations {
        0 => "related to nobody".to_owned(),
        1 => "1 relation".to_owned(),
        n => format!("{n} relations"),
    };
    match fault {
        Mode::None => format!("{endpoint}, {whom}"),
        fault => format!("{endpoint}, {whom}, plays the fault `{fault}`"),
    }
}
