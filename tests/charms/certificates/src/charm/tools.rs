//! Juju's hook tools, one to one.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(super) type Bag = BTreeMap<String, String>;

fn run(tool: &str, args: &[&str], stdin: Option<&str>) -> Result<String> {
    let mut command = Command::new(tool);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().with_context(|| format!("starting `{tool}`"))?;
    if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
        pipe.write_all(text.as_bytes()).with_context(|| format!("writing to `{tool}`"))?;
    }
    let out = child.wait_with_output()?;
    if !out.status.success() {
        bail!("`{tool}`: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    String::from_utf8(out.stdout).with_context(|| format!("reading from `{tool}`"))
}

fn json<T: DeserializeOwned>(tool: &str, args: &[&str]) -> Result<T> {
    let text = run(tool, &[args, &["--format=json"]].concat(), None)?;
    serde_json::from_str(&text).with_context(|| format!("`{tool}` answered {:?}", text.trim()))
}

pub(super) fn config() -> Result<Value> {
    json("config-get", &[])
}

pub(super) fn is_leader() -> Result<bool> {
    json("is-leader", &[])
}

pub(super) fn storage_ids(name: &str) -> Result<Vec<String>> {
    json("storage-list", &[name])
}

pub(super) fn storage_location(id: &str) -> Result<String> {
    let storage: Value = json("storage-get", &["-s", id])?;
    storage["location"].as_str().map(str::to_owned).context("a storage without a location")
}

pub(super) fn relation_ids(endpoint: &str) -> Result<Vec<String>> {
    json("relation-ids", &[endpoint])
}

pub(super) fn relation_units(id: &str) -> Result<Vec<String>> {
    json("relation-list", &["-r", id])
}

pub(super) fn relation_bag(id: &str, app: &str) -> Result<Bag> {
    let bag: Option<Bag> = json("relation-get", &["-r", id, "--app", "-", app])?;
    Ok(bag.unwrap_or_default())
}

pub(super) fn unit_bag(id: &str, unit: &str) -> Result<Bag> {
    let bag: Option<Bag> = json("relation-get", &["-r", id, "-", unit])?;
    Ok(bag.unwrap_or_default())
}

/// By standard input: many certificates are more than an argument takes.
pub(super) fn relation_set(id: &str, bag: &Bag) -> Result<()> {
    run("relation-set", &["-r", id, "--app", "--file", "-"], Some(&serde_json::to_string(bag)?)).map(drop)
}

pub(super) fn status(word: &str, message: &str) -> Result<()> {
    run("status-set", &[word, "--", message], None).map(drop)
}

pub(super) fn version(version: &str) -> Result<()> {
    run("application-version-set", &["--", version], None).map(drop)
}

pub(super) fn action_params() -> Result<Value> {
    json("action-get", &[])
}

pub(super) fn action_set(results: &Bag) -> Result<()> {
    let pairs: Vec<_> = results.iter().map(|(key, value)| format!("{key}={value}")).collect();
    run("action-set", &pairs.iter().map(String::as_str).collect::<Vec<_>>(), None).map(drop)
}

pub(super) fn action_fail(message: &str) -> Result<()> {
    run("action-fail", &["--", message], None).map(drop)
}
