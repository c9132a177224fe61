//! Every command: what it asks of the daemon, and what it prints of the answer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::args::{Cli, Command, Format};
use super::change::{self, say};
use super::client::{ask, await_end, serve};
use super::input::{pairs, secret_content, with_files, yaml_map};
use super::print::{self, out};
use super::run::{self, Kind};
use super::{Failure, Outcome, fault, host, log, shell_line, table, waitfor};
use crate::api::{Call, ModelRef, Targets};
use crate::uniter::environ::JUJU_VERSION;

pub(super) fn run(cli: Cli) -> Outcome {
    let model: ModelRef =
        cli.model.clone().or_else(|| std::env::var("JUJU_MODEL").ok().filter(|name| !name.is_empty()));
    let quiet = cli.quiet;
    match cli.command {
        Command::Daemon => serve()?,
        Command::Version { all, format } => {
            let whole = format!("{JUJU_VERSION}-ubuntu-amd64");
            let value = if all {
                json!({"version": whole, "git-commit": "", "git-tree-state": "clean", "compiler": "rustc"})
            } else {
                Value::from(whole)
            };
            print::value(&value, &format, "smart", |value| format!("{value}\n"))?;
        }
        Command::AddModel { name, no_switch, config, .. } => {
            let added = ask(&Call::AddModel { name, switch: !no_switch, config: pairs(&config)? })?;
            say(
                quiet,
                &format!(
                    "Added '{}' model on localhost/localhost with credential 'localhost' for user 'admin'",
                    print::text(&added, "/name")
                ),
            );
        }
        Command::DestroyModel { name, no_prompt, force, .. } => change::destroy(&name, no_prompt, force, quiet)?,
        Command::Models { format } => print::value(&ask(&Call::Models)?, &format, "tabular", print::models)?,
        Command::Switch { name } => {
            let asked = name.is_some();
            let answer = ask(&Call::Switch { name })?;
            let current = print::text(&answer, "/current");
            if asked {
                let before = print::text(&answer, "/before");
                let before = if before.is_empty() {
                    "localjuju (controller)".to_owned()
                } else {
                    format!("localjuju:admin/{before}")
                };
                say(quiet, &format!("{before} -> localjuju:admin/{current}"));
            } else {
                out(&format!("localjuju:admin/{current}\n"));
            }
        }
        Command::ShowModel { name, format } => {
            print::value(&ask(&Call::ShowModel { name: name.or(model) })?, &format, "yaml", print::models)?;
        }
        Command::ModelConfig { words, reset, format } => change::model_config(model, &words, reset, &format)?,
        Command::Deploy(deploy) => change::deploy(model, *deploy, quiet)?,
        Command::Refresh { app, path, config, .. } => {
            let path = path.context("--path is required: there is no charm store here")?;
            let path = std::path::absolute(path).context("reading --path")?;
            let done = ask(&Call::Refresh { model, app: app.clone(), path, config: with_files(pairs(&config)?)? })?;
            say(
                quiet,
                &format!(
                    "Added local charm \"{}\", revision {}, to the model",
                    print::text(&done, "/charm"),
                    done["revision"]
                ),
            );
        }
        Command::AddUnit { app, num_units, to, attach_storage } => {
            ask(&Call::AddUnit { model, app, count: num_units, to, attach: attach_storage })?;
        }
        Command::RemoveUnit { names, num_units, removal } => {
            change::remove_units(model, names, num_units, &removal, quiet)?
        }
        Command::RemoveApplication { names, removal } => change::remove_applications(model, names, &removal, quiet)?,
        Command::RemoveStorage { ids, force, .. } => {
            ask(&Call::RemoveStorage { model, ids: ids.clone(), force })?;
            ids.iter().for_each(|id| say(quiet, &format!("removing {id}")));
        }
        Command::Storage { format } => {
            let status = ask(&Call::Status { model })?;
            print::value(status.get("storage").unwrap_or(&Value::Null), &format, "tabular", print::storage)?;
        }
        Command::Integrate { one, other, .. } => {
            ask(&Call::Integrate { model, one, other })?;
        }
        Command::RemoveRelation { ends, force } => {
            ask(&Call::RemoveRelation { model, ends, force })?;
        }
        Command::Config { app, words, reset, file, format } => {
            change::config(model, &app, &words, reset, file.as_deref(), &format)?
        }
        Command::Trust { app, remove, .. } => {
            ask(&Call::Trust { model, app, trusted: !remove })?;
        }
        Command::Expose { app } => {
            ask(&Call::Expose { model, app, exposed: true })?;
        }
        Command::Unexpose { app } => {
            ask(&Call::Expose { model, app, exposed: false })?;
        }
        Command::AddSecret { name, words, file, info } => {
            let content = secret_content(&words, file.as_ref())?;
            let added = ask(&Call::AddSecret { model, name, content, info })?;
            out(&format!("{}\n", print::text(&added, "/uri")));
        }
        Command::UpdateSecret { secret, words, file, info, name, auto_prune } => {
            let content = secret_content(&words, file.as_ref())?;
            let content = (!content.is_empty()).then_some(content);
            ask(&Call::UpdateSecret { model, name: secret, content, info, rename: name, auto_prune })?;
        }
        Command::GrantSecret { secret, apps } => {
            ask(&Call::GrantSecret { model, name: secret, apps, grant: true })?;
        }
        Command::RevokeSecret { secret, apps } => {
            ask(&Call::GrantSecret { model, name: secret, apps, grant: false })?;
        }
        Command::RemoveSecret { secret, revision } => {
            ask(&Call::RemoveSecret { model, name: secret, revision })?;
        }
        Command::Secrets { owner, revisions, format } => {
            let call =
                Call::Secrets { model, name: None, owner, reveal: false, revision: None, revisions, access: false };
            print::value(&ask(&call)?, &format, "tabular", print::secrets)?;
        }
        Command::ShowSecret { secret, reveal, revision, revisions, format } => {
            if revisions && reveal {
                return Err(Failure {
                    code: 2,
                    text: "specify either --revisions or --reveal but not both".to_owned(),
                });
            }
            let call =
                Call::Secrets { model, name: Some(secret), owner: None, reveal, revision, revisions, access: true };
            show_secret(ask(&call)?, &format)?;
        }
        Command::Run { words, params, string_args, waiting, format } => {
            let wanted = run::read(&words).map_err(|fault| Failure { code: 2, text: fault.to_string() })?;
            let file = params.map(|path| yaml_map(&path)).transpose()?.unwrap_or_default();
            let params = run::parameters(file, &wanted.arguments, string_args)?;
            let scheduled =
                ask(&Call::Run { model: model.clone(), units: wanted.units, action: wanted.action, params })?;
            run::follow(&model, &scheduled, &waiting, &format, Kind::Action)?;
        }
        Command::Exec { words, unit, application, machine, all, waiting, format, .. } => {
            if !all && unit.is_empty() && application.is_empty() && machine.is_empty() {
                return Err(Failure {
                    code: 2,
                    text: "You must specify a target, either through --all, --machine, --application or --unit"
                        .to_owned(),
                });
            }
            let commands = if let [one] = words.as_slice() { one.clone() } else { shell_line(&words) };
            let targets = Targets { all, units: unit, apps: application, machines: machine };
            let scheduled = ask(&Call::Exec { model: model.clone(), targets, commands })?;
            run::follow(&model, &scheduled, &waiting, &format, Kind::Exec)?;
        }
        Command::Ssh { target, words, .. } => host::ssh(model, &target, &words)?,
        Command::Scp { words, .. } => host::scp(&words)?,
        Command::ShowTask { id, wait, format, .. } => {
            let patience = wait
                .as_deref()
                .and_then(crate::uniter::commit::duration)
                .and_then(|time| time.to_std().ok())
                .unwrap_or(Duration::ZERO);
            if !patience.is_zero() {
                run::wait(&model, id, Instant::now() + patience, false)?;
            }
            let found = ask(&Call::Task { model, id, logs_seen: 0, wait: false })?;
            print::value(found.get("task").unwrap_or(&Value::Null), &format, "yaml", crate::tools::output::yaml)?;
        }
        Command::CancelTask { ids, format } => {
            print::value(&ask(&Call::Cancel { model, ids })?, &format, "yaml", crate::tools::output::yaml)?;
        }
        Command::Operations { format } => {
            print::value(&ask(&Call::Operations { model, id: None })?, &format, "plain", print::operations)?
        }
        Command::ShowOperation { id, format, .. } => {
            let found = ask(&Call::Operations { model, id: Some(id) })?;
            let inner = found.get(id.to_string()).cloned().unwrap_or_default();
            print::value(&inner, &format, "yaml", crate::tools::output::yaml)?;
        }
        Command::Actions { app, schema, format } => {
            let found = ask(&Call::Actions { model, app })?;
            let default = if schema { "yaml" } else { "tabular" };
            print::value(&found, &format, default, print::actions)?;
        }
        Command::Status { names, relations, storage, format } => {
            let found = only(ask(&Call::Status { model })?, &names);
            print::value(&found, &format, "tabular", |value| table::status(value, relations.is_some(), storage))?;
        }
        Command::ShowUnit { units, format } => {
            print::value(&ask(&Call::ShowUnit { model, units })?, &format, "yaml", crate::tools::output::yaml)?
        }
        Command::ShowApplication { apps, format } => {
            print::value(&ask(&Call::ShowApplication { model, apps })?, &format, "yaml", crate::tools::output::yaml)?;
        }
        Command::DebugLog(options) => log::run(model, &options)?,
        Command::WaitFor { kind, name, query, timeout, .. } => {
            waitfor::run(model, &kind, &name, query.as_deref(), &timeout)?
        }
        Command::Resolved { units, all, no_retry } => {
            if units.is_empty() && !all {
                return Err(Failure { code: 2, text: "no unit specified".to_owned() });
            }
            ask(&Call::Resolve { model, units, all, no_retry })?;
        }
        Command::SetLeader { unit } => {
            ask(&Call::SetLeader { model, unit })?;
        }
        Command::Fault(fault) => fault::run(model, fault)?,
        Command::StopDaemon => {
            let ended = ask(&Call::StopDaemon)?;
            await_end(ended["pid"].as_i64().unwrap_or(0));
        }
    }
    Ok(())
}

/// As text, the content stands right below `content`; in JSON one level lower, as Juju has it.
fn show_secret(mut found: Value, format: &Format) -> Result<()> {
    if format.format.as_deref() != Some("json") {
        for (_, secret) in found.as_object_mut().into_iter().flatten() {
            if let Some(data) = secret.pointer_mut("/content/Data").map(Value::take) {
                secret["content"] = data;
            }
        }
    }
    print::value(&found, format, "yaml", crate::tools::output::yaml)
}

/// `juju status app unit/0`: only what is named.
fn only(mut status: Value, names: &[String]) -> Value {
    if names.is_empty() {
        return status;
    }
    if let Some(apps) = status.get_mut("applications").and_then(Value::as_object_mut) {
        apps.retain(|app, value| {
            let named = |name: &String| name == app || crate::model::names::app_of(name) == app;
            if let Some(units) = value.get_mut("units").and_then(Value::as_object_mut)
                && !names.contains(app)
            {
                units.retain(|unit, _| names.contains(unit));
            }
            names.iter().any(named)
        });
    }
    status
}
