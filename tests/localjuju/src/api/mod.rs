//! What the CLI may ask of the daemon, and who answers. One call, one JSON value.

mod config;
mod deploy;
mod hosts;
mod lifecycle;
mod models;
mod network;
mod operations;
mod relate;
mod secrets;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::daemon::{Daemon, Shared};
use crate::model::{Model, World, names};

/// Which model a command means: `-m`, else `JUJU_MODEL`, else the current one.
pub(crate) type ModelRef = Option<String>;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    AddModel {
        name: String,
        switch: bool,
        config: BTreeMap<String, String>,
    },
    DestroyModel {
        name: String,
        force: bool,
    },
    Models,
    Switch {
        name: Option<String>,
    },
    ShowModel {
        name: ModelRef,
    },
    ModelConfig {
        model: ModelRef,
        set: BTreeMap<String, String>,
        reset: Vec<String>,
    },
    Deploy(Box<Deploy>),
    Refresh {
        model: ModelRef,
        app: String,
        path: PathBuf,
        config: BTreeMap<String, String>,
    },
    AddUnit {
        model: ModelRef,
        app: String,
        count: u32,
        to: Vec<String>,
        attach: Vec<String>,
    },
    RemoveUnit {
        model: ModelRef,
        names: Vec<String>,
        count: u32,
        destroy_storage: bool,
        force: bool,
    },
    RemoveApplication {
        model: ModelRef,
        names: Vec<String>,
        destroy_storage: bool,
        force: bool,
    },
    RemoveStorage {
        model: ModelRef,
        ids: Vec<String>,
        force: bool,
    },
    Integrate {
        model: ModelRef,
        one: String,
        other: String,
    },
    RemoveRelation {
        model: ModelRef,
        ends: Vec<String>,
        force: bool,
    },
    Config {
        model: ModelRef,
        app: String,
    },
    SetConfig {
        model: ModelRef,
        app: String,
        set: BTreeMap<String, String>,
        typed: Map<String, Value>,
        reset: Vec<String>,
    },
    Trust {
        model: ModelRef,
        app: String,
        trusted: bool,
    },
    Expose {
        model: ModelRef,
        app: String,
        exposed: bool,
    },
    AddSecret {
        model: ModelRef,
        name: String,
        content: BTreeMap<String, String>,
        info: Option<String>,
    },
    UpdateSecret {
        model: ModelRef,
        name: String,
        content: Option<BTreeMap<String, String>>,
        info: Option<String>,
        rename: Option<String>,
        auto_prune: Option<bool>,
    },
    GrantSecret {
        model: ModelRef,
        name: String,
        apps: Vec<String>,
        grant: bool,
    },
    RemoveSecret {
        model: ModelRef,
        name: String,
        revision: Option<u32>,
    },
    Secrets {
        model: ModelRef,
        name: Option<String>,
        owner: Option<String>,
        reveal: bool,
        revision: Option<u32>,
        revisions: bool,
        access: bool,
    },
    Run {
        model: ModelRef,
        units: Vec<String>,
        action: String,
        params: Map<String, Value>,
    },
    Exec {
        model: ModelRef,
        targets: Targets,
        commands: String,
    },
    /// Waits a moment for news of a task.
    Task {
        model: ModelRef,
        id: u64,
        logs_seen: usize,
        wait: bool,
    },
    Cancel {
        model: ModelRef,
        ids: Vec<u64>,
    },
    Operations {
        model: ModelRef,
        id: Option<u64>,
    },
    Actions {
        model: ModelRef,
        app: String,
    },
    Status {
        model: ModelRef,
    },
    ShowUnit {
        model: ModelRef,
        units: Vec<String>,
    },
    ShowApplication {
        model: ModelRef,
        apps: Vec<String>,
    },
    Resolve {
        model: ModelRef,
        units: Vec<String>,
        all: bool,
        no_retry: bool,
    },
    SetLeader {
        model: ModelRef,
        unit: String,
    },
    PowerOff {
        model: ModelRef,
        unit: String,
    },
    PowerOn {
        model: ModelRef,
        unit: String,
    },
    SetAddress {
        model: ModelRef,
        unit: String,
        address: Option<String>,
    },
    /// Cuts or heals the unit's link.
    Network {
        model: ModelRef,
        unit: String,
        cut: bool,
    },
    /// Log lines from this byte on.
    Log {
        model: ModelRef,
        from: u64,
    },
    StopDaemon,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Deploy {
    pub(crate) model: ModelRef,
    pub(crate) path: PathBuf,
    pub(crate) name: Option<String>,
    pub(crate) units: u32,
    pub(crate) set: BTreeMap<String, String>,
    /// Values of a `--config FILE`.
    pub(crate) typed: Map<String, Value>,
    pub(crate) storage: BTreeMap<String, String>,
    pub(crate) attach: Vec<String>,
    pub(crate) to: Vec<String>,
    pub(crate) trust: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Targets {
    pub(crate) all: bool,
    pub(crate) units: Vec<String>,
    pub(crate) apps: Vec<String>,
    pub(crate) machines: Vec<String>,
}

pub(crate) fn handle(daemon: &Arc<Daemon>, call: Call, client: Option<i32>) -> Result<Value> {
    match call {
        Call::AddModel { name, switch, config } => models::add(daemon, &name, switch, config),
        Call::DestroyModel { name, force } => models::destroy(daemon, &name, force, client),
        Call::Models => models::list(daemon),
        Call::Switch { name } => models::switch(daemon, name),
        Call::ShowModel { name } => models::show(daemon, &name),
        Call::ModelConfig { model, set, reset } => models::config(daemon, &model, set, &reset),
        Call::Deploy(deploy) => deploy::deploy(daemon, *deploy),
        Call::Refresh { model, app, path, config } => deploy::refresh(daemon, &model, &app, &path, &config),
        Call::AddUnit { model, app, count, to, attach } => deploy::add_unit(daemon, &model, &app, count, &to, &attach),
        Call::RemoveUnit { model, names, count, destroy_storage, force } => {
            lifecycle::remove_units(daemon, &model, &names, count, destroy_storage, force)
        }
        Call::RemoveApplication { model, names, destroy_storage, force } => {
            lifecycle::remove_applications(daemon, &model, &names, destroy_storage, force)
        }
        Call::RemoveStorage { model, ids, force } => lifecycle::remove_storage(daemon, &model, &ids, force),
        Call::Integrate { model, one, other } => relate::integrate(daemon, &model, &one, &other),
        Call::RemoveRelation { model, ends, force } => relate::remove(daemon, &model, &ends, force),
        Call::Config { model, app } => config::show(daemon, &model, &app),
        Call::SetConfig { model, app, set, typed, reset } => config::set(daemon, &model, &app, &set, &typed, &reset),
        Call::Trust { model, app, trusted } => lifecycle::mark(daemon, &model, &app, |app| app.trusted = trusted),
        Call::Expose { model, app, exposed } => lifecycle::mark(daemon, &model, &app, |app| app.exposed = exposed),
        Call::AddSecret { model, name, content, info } => secrets::add(daemon, &model, &name, content, info),
        Call::UpdateSecret { model, name, content, info, rename, auto_prune } => {
            secrets::update(daemon, &model, &name, secrets::Update { content, info, rename, auto_prune })
        }
        Call::GrantSecret { model, name, apps, grant } => secrets::grant(daemon, &model, &name, &apps, grant),
        Call::RemoveSecret { model, name, revision } => secrets::remove(daemon, &model, &name, revision),
        Call::Secrets { model, name, owner, reveal, revision, revisions, access } => {
            secrets::list(daemon, &model, &secrets::Wanted { name, owner, reveal, revision, revisions, access })
        }
        Call::Run { model, units, action, params } => operations::run(daemon, &model, &units, &action, &params),
        Call::Exec { model, targets, commands } => operations::exec(daemon, &model, &targets, &commands),
        Call::Task { model, id, logs_seen, wait } => operations::task(daemon, &model, id, logs_seen, wait),
        Call::Cancel { model, ids } => operations::cancel(daemon, &model, &ids),
        Call::Operations { model, id } => operations::list(daemon, &model, id),
        Call::Actions { model, app } => operations::actions(daemon, &model, &app),
        Call::Status { model } => show::status(daemon, &model),
        Call::ShowUnit { model, units } => show::units(daemon, &model, &units),
        Call::ShowApplication { model, apps } => show::applications(daemon, &model, &apps),
        Call::Resolve { model, units, all, no_retry } => lifecycle::resolve(daemon, &model, &units, all, no_retry),
        Call::SetLeader { model, unit } => lifecycle::set_leader(daemon, &model, &unit),
        Call::PowerOff { model, unit } => hosts::power_off(daemon, &model, &unit, client),
        Call::PowerOn { model, unit } => hosts::power_on(daemon, &model, &unit),
        Call::SetAddress { model, unit, address } => hosts::set_address(daemon, &model, &unit, address),
        Call::Network { model, unit, cut } => hosts::network(daemon, &model, &unit, cut),
        Call::Log { model, from } => show::log(daemon, &model, from),
        Call::StopDaemon => Ok(serde_json::json!({"ends": true, "pid": std::process::id()})),
    }
}

/// `controller:user/model` -> `model`.
fn bare(name: &str) -> &str {
    let name = name.rsplit(':').next().unwrap_or(name);
    name.rsplit('/').next().unwrap_or(name)
}

fn find_name(world: &World, wanted: &ModelRef) -> Result<String> {
    let name = match wanted {
        Some(name) => bare(name).to_owned(),
        None => world.current.clone().context("No model in focus.\n\nPlease use \"juju models\" to see models available to you.\nYou can set current model by running \"juju switch\"\nor specify any other model on the command line using the \"-m\" option.")?,
    };
    let by_uuid = || world.models.values().find(|model| model.uuid == name).map(|model| model.name.clone());
    let found = world.models.contains_key(&name).then(|| name.clone()).or_else(by_uuid);
    found.ok_or_else(|| anyhow!("model {name:?} not found"))
}

fn model<'a>(shared: &'a mut Shared, wanted: &ModelRef) -> Result<&'a mut Model> {
    let name = find_name(&shared.world, wanted)?;
    shared.world.models.get_mut(&name).with_context(|| format!("model {name:?} not found"))
}

fn no_app(name: &str) -> anyhow::Error {
    anyhow!("application {name:?} not found")
}

fn no_unit(name: &str) -> anyhow::Error {
    anyhow!("unit {name:?} not found")
}

/// `app/3` or `app/leader`.
fn unit_name(model: &Model, wanted: &str) -> Result<String> {
    if let Some(app) = wanted.strip_suffix("/leader") {
        let found = model.apps.get(app).ok_or_else(|| no_app(app))?;
        return found.leader.clone().with_context(|| format!("could not determine leader for {app:?}"));
    }
    if !names::is_unit(wanted) {
        return Err(anyhow!("invalid unit name {wanted:?}"));
    }
    model.units.contains_key(wanted).then(|| wanted.to_owned()).ok_or_else(|| no_unit(wanted))
}
