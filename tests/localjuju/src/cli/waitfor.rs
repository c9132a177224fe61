//! wait-for: asks for the status until a query holds. Of Juju's query language: `key=="value"`, `!=`, `&&`, `||`.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use super::client::ask;
use super::print::text;
use crate::api::{Call, ModelRef};
use crate::model::names::app_of;
use crate::uniter::commit::duration;

/// What queries may name, for one kind of thing.
fn fact<'a>(kind: &str, found: &'a Value, key: &str) -> Option<&'a str> {
    let alive = |life: &'a str| if life.is_empty() { "alive" } else { life };
    Some(match (kind, key) {
        ("application", "status") => text(found, "/application-status/current"),
        ("application", "life") => alive(text(found, "/life")),
        ("application", "workload-version") => text(found, "/version"),
        ("unit", "workload-status" | "status") => text(found, "/workload-status/current"),
        ("unit", "workload-message") => text(found, "/workload-status/message"),
        ("unit", "agent-status") => text(found, "/juju-status/current"),
        ("unit", "life") => alive(text(found, "/juju-status/life")),
        ("model", "status") => text(found, "/model/model-status/current"),
        ("model", "life") => "alive",
        ("machine", "status") => text(found, "/juju-status/current"),
        ("machine", "life") => "alive",
        _ => return None,
    })
}

fn holds(kind: &str, found: &Value, query: &str) -> Result<bool> {
    if query.contains('(') {
        bail!("only comparisons with && and || are understood here, not {query:?}");
    }
    let compare = |term: &str| -> Result<bool> {
        let (key, equal, value) = term
            .split_once("==")
            .map(|(key, value)| (key, true, value))
            .or_else(|| term.split_once("!=").map(|(key, value)| (key, false, value)))
            .with_context(|| format!("query {term:?} is no comparison"))?;
        let value = value.trim().trim_matches(['"', '\'']);
        let fact = fact(kind, found, key.trim()).ok_or_else(|| anyhow!("{kind} has no {:?} to ask for", key.trim()))?;
        Ok((fact == value) == equal)
    };
    for all in query.split("||") {
        let terms: Vec<bool> = all.split("&&").map(compare).collect::<Result<_>>()?;
        if terms.iter().all(|term| *term) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn run(model: ModelRef, kind: &str, name: &str, query: Option<&str>, timeout: &str) -> Result<()> {
    let default = match kind {
        "application" => "life==\"alive\" && status==\"active\"",
        "unit" => "life==\"alive\" && workload-status==\"active\"",
        "model" => "life==\"alive\" && status==\"available\"",
        "machine" => "life==\"alive\" && status==\"started\"",
        _ => bail!("{kind:?} cannot be waited for: one of application, machine, model, unit"),
    };
    let query = query.unwrap_or(default);
    let patience = duration(timeout)
        .and_then(|time| time.to_std().ok())
        .with_context(|| format!("invalid duration {timeout:?}"))?;
    let deadline = Instant::now() + patience;
    loop {
        let model = if kind == "model" { Some(name.to_owned()) } else { model.clone() };
        let status = ask(&Call::Status { model })?;
        let found = match kind {
            "application" => status["applications"].get(name),
            "unit" => status["applications"][app_of(name)]["units"].get(name),
            "machine" => status["machines"].get(name),
            _ => Some(&status),
        };
        if let Some(found) = found
            && holds(kind, found, query)?
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("timed out waiting for {name:?} to reach goal state");
        }
        thread::sleep(Duration::from_millis(200));
    }
}
