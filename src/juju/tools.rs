//! Runs the hook tools. Free text always comes after `--`, documents always
//! through standard input or a private file, never in argv.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::JujuError;
use crate::sys::environment::Vars;
use crate::sys::process::{Invocation, Output, Runner};

/// A hook tool that hangs must not hang the unit.
const DEADLINE: Duration = Duration::from_secs(60);

/// Linux refuses a single argument of 128 KiB or more.
const LONGEST_ARGUMENT: usize = 120 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

#[derive(Debug, Clone)]
pub struct Juju {
    runner: Runner,
    env: Vec<(String, String)>,
    /// The relation whose end this hook tells: Juju still lists it.
    pub(super) broken: Option<String>,
}

impl Juju {
    /// Hook tools find their unit by the `JUJU_*` variables, so those are handed on.
    pub fn new(runner: Runner, vars: &Vars) -> Self {
        let env = vars.iter().filter(|(key, _)| key.starts_with("JUJU_")).map(|(k, v)| (k.clone(), v.clone()));
        let told = |key: &str| vars.get(key).map(String::as_str).unwrap_or_default();
        let ends = told("JUJU_DISPATCH_PATH").ends_with("-relation-broken");
        let broken = ends.then(|| told("JUJU_RELATION_ID").to_owned());
        Self { runner, env: env.collect(), broken }
    }

    pub(super) fn tool(&self, name: &'static str) -> Invocation {
        let mut invocation = Invocation::new(name).within(DEADLINE);
        invocation.env = self.env.clone();
        invocation
    }

    pub(super) async fn answer(&self, tool: &'static str, invocation: &Invocation) -> Result<Output, JujuError> {
        let output = self.runner.run(invocation).await?;
        if output.success() { Ok(output) } else { Err(JujuError::refused(tool, &output)) }
    }

    pub(super) async fn json<T: DeserializeOwned>(&self, tool: &'static str, args: &[&str]) -> Result<T, JujuError> {
        let invocation = self.tool(tool).args(args.iter().copied()).args(["--format=json"]);
        let output = self.answer(tool, &invocation).await?;
        serde_json::from_str(output.stdout.trim()).map_err(|_| JujuError::Shape { tool })
    }

    async fn tell(&self, tool: &'static str, args: &[&str]) -> Result<(), JujuError> {
        // A NUL cannot stand in an argument; it would keep the whole text from Juju.
        let args = args.iter().map(|arg| arg.replace('\0', ""));
        self.answer(tool, &self.tool(tool).args(args)).await.map(|_| ())
    }

    /// The charm's options as an object; unset ones without default are absent.
    pub async fn config(&self) -> Result<Value, JujuError> {
        self.json("config-get", &[]).await
    }

    pub async fn is_leader(&self) -> Result<bool, JujuError> {
        self.json("is-leader", &[]).await
    }

    /// The address that peers reach us at.
    pub async fn address(&self, binding: &str) -> Result<String, JujuError> {
        self.json("network-get", &[binding, "--ingress-address"]).await
    }

    /// Units of this application that are there or planned, our own included.
    pub async fn goal_units(&self) -> Result<Vec<String>, JujuError> {
        Ok(self.units().await?.into_iter().filter(|(_, stays)| *stays).map(|(name, _)| name).collect())
    }

    /// Every unit of this application that Juju knows, by name, and whether it stays.
    pub async fn units(&self) -> Result<Vec<(String, bool)>, JujuError> {
        let goal: Value = self.json("goal-state", &[]).await?;
        let stays = |unit: &Value| !matches!(unit["status"].as_str(), Some("dying" | "dead"));
        let units = goal["units"].as_object().into_iter().flatten();
        // Sorted here: a JSON object's own order depends on how serde_json was built.
        Ok(units.map(|(name, unit)| (name.clone(), stays(unit))).collect::<BTreeMap<_, _>>().into_iter().collect())
    }

    /// How many those are.
    pub async fn planned_units(&self) -> Result<u32, JujuError> {
        Ok(self.goal_units().await?.len().max(1) as u32)
    }

    /// Where the storage `name` is mounted; `None` until it is attached.
    pub async fn storage(&self, name: &str) -> Result<Option<PathBuf>, JujuError> {
        let ids: Option<Vec<String>> = self.json("storage-list", &[name]).await?;
        let Some(id) = ids.unwrap_or_default().into_iter().next() else { return Ok(None) };
        let location: String = self.json("storage-get", &["-s", &id, "location"]).await?;
        Ok(Some(PathBuf::from(location)))
    }

    pub async fn set_status(&self, status: &str, message: &str) -> Result<(), JujuError> {
        self.tell("status-set", &[status, "--", message]).await
    }

    /// What the unit's status says now: word and message.
    pub async fn status(&self) -> Result<(String, String), JujuError> {
        let status: Value = self.json("status-get", &["--include-data"]).await?;
        let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
        Ok((text("status"), text("message")))
    }

    pub async fn set_version(&self, version: &str) -> Result<(), JujuError> {
        self.tell("application-version-set", &["--", version]).await
    }

    pub async fn log(&self, level: Level, message: &str) -> Result<(), JujuError> {
        let level = match level {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        };
        self.tell("juju-log", &["-l", level, "--", cut(message)]).await
    }

    /// The action's parameters, defaults filled in by Juju.
    pub async fn action_params(&self) -> Result<Value, JujuError> {
        self.json("action-get", &[]).await
    }

    pub async fn action_log(&self, message: &str) -> Result<(), JujuError> {
        self.tell("action-log", &["--", cut(message)]).await
    }

    pub async fn action_fail(&self, message: &str) -> Result<(), JujuError> {
        self.tell("action-fail", &["--", cut(message)]).await
    }

    /// Results of the action. A value longer than an argument may be is cut at
    /// a line's end; the caller prints the whole on standard output.
    pub async fn action_set(&self, results: &[(String, String)]) -> Result<(), JujuError> {
        for (key, value) in results {
            self.tell("action-set", &[&format!("{key}={}", cut_at_line(value))]).await?;
        }
        Ok(())
    }

    /// Whether a result of this length reaches the user whole.
    pub fn fits_a_result(value: &str) -> bool {
        value.len() <= LONGEST_ARGUMENT
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_ARGUMENT.min(text.len()))]
}

fn cut_at_line(text: &str) -> &str {
    if Juju::fits_a_result(text) {
        return text;
    }
    let head = cut(text);
    &head[..head.rfind('\n').unwrap_or(head.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_too_long_for_an_argument_ends_with_a_whole_line() {
        let text = "0123456789\n".repeat(20_000);
        let got = cut_at_line(&text);
        assert!(got.len() <= LONGEST_ARGUMENT && got.ends_with("0123456789"));
        assert_eq!(cut_at_line("short"), "short");
    }
}
