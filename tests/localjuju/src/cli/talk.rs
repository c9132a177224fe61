//! Every command: what it asks of the daemon, and what it prints of the answer. Files named on the command line are
//! read here, in the user's directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Map, Value, json};

use super::args::{Cli, Command, Deploy, Format, Removal};
use super::client::{ask, await_end, serve};
use super::print::{self, out};
use super::run::{self, Kind};
use super::{Failure, Outcome, log, shell_line, table};
use crate::api::{self, Call, ModelRef, Targets};
use crate::uniter::environ::JUJU_VERSION;

fn pairs(words: &[String]) -> Result<BTreeMap<String, String>> {
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(anyhow!("expected \"key=value\", got {word:?}")),
        })
        .collect()
}

/// `k=@file` reads the value from the file, as `juju config` does.
fn with_files(set: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    set.into_iter()
        .map(|(key, value)| match value.strip_prefix('@').filter(|path| !path.is_empty()) {
            Some(path) => Ok((
                key,
                std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read configuration from file {path:?}"))?,
            )),
            None => Ok((key, value)),
        })
        .collect()
}

fn yaml_map(path: &Path) -> Result<Map<String, Value>> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(path).with_context(|| format!("open {}", path.display()))?
    };
    match serde_yaml::from_str(&text).with_context(|| format!("parsing {}", path.display()))? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => bail!("{} must contain a YAML map with string keys", path.display()),
    }
}

/// A file of settings: flat, or below the application's name, or below `settings` as `juju config` prints it.
fn settings(mut map: Map<String, Value>, app: &str) -> Map<String, Value> {
    if let Some(Value::Object(inner)) = map.get_mut(app).map(Value::take) {
        return inner;
    }
    match map.get_mut("settings").map(Value::take) {
        Some(Value::Object(inner)) => {
            inner.into_iter().filter_map(|(key, entry)| Some((key, entry.get("value")?.clone()))).collect()
        }
        _ => map,
    }
}

fn secret_content(words: &[String], file: Option<&PathBuf>) -> Result<BTreeMap<String, String>> {
    let mut given: Vec<(String, String)> = Vec::new();
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).with_context(|| format!("open {}", file.display()))?;
        given.extend(crate::tools::args::string_map(&text).map_err(|fault| anyhow!(fault))?);
    }
    given.extend(
        words
            .iter()
            .map(|word| {
                word.split_once('=')
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .ok_or_else(|| anyhow!("key value {word:?} not valid"))
            })
            .collect::<Result<Vec<_>>>()?,
    );
    let read =
        |name: &str| std::fs::read(name).map_err(|fault| format!("open {name}: {}", crate::tools::args::plain(&fault)));
    crate::tools::secret_content(given, read).map_err(|fault| anyhow!(fault))
}

fn say(quiet: bool, text: &str) {
    if !quiet {
        eprintln!("{text}");
    }
}

fn confirm(removal: bool, question: &str) -> Result<()> {
    use std::io::IsTerminal as _;
    // Who has no terminal has no one to ask; Juju would read an empty answer and give up.
    if removal || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    eprint!("{question}\nContinue [y/N]? ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if matches!(line.trim(), "y" | "Y" | "yes") { Ok(()) } else { bail!("aborted") }
}

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
        Command::DestroyModel { name, no_prompt, force, .. } => destroy(&name, no_prompt, force, quiet)?,
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
        Command::ModelConfig { words, reset, format } => model_config(model, &words, reset, &format)?,
        Command::Deploy(deploy) => self::deploy(model, *deploy, quiet)?,
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
        Command::RemoveUnit { names, num_units, removal } => remove_units(model, names, num_units, &removal, quiet)?,
        Command::RemoveApplication { names, removal } => remove_applications(model, names, &removal, quiet)?,
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
            config(model, &app, &words, reset, file.as_deref(), &format)?
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
        Command::Ssh { target, words, .. } => ssh(model, &target, &words)?,
        Command::Scp { words, .. } => scp(&words)?,
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
        Command::Resolved { units, all, no_retry } => {
            if units.is_empty() && !all {
                return Err(Failure { code: 2, text: "no unit specified".to_owned() });
            }
            ask(&Call::Resolve { model, units, all, no_retry })?;
        }
        Command::SetLeader { unit } => {
            ask(&Call::SetLeader { model, unit })?;
        }
        Command::StopDaemon => {
            let ended = ask(&Call::StopDaemon)?;
            await_end(ended["pid"].as_i64().unwrap_or(0));
        }
    }
    Ok(())
}

fn destroy(name: &str, no_prompt: bool, force: bool, quiet: bool) -> Result<()> {
    confirm(no_prompt, &format!("This command will destroy the {name:?} model and all its resources."))?;
    say(quiet, "Destroying model");
    let done = ask(&Call::DestroyModel { name: name.to_owned(), force })?;
    if done["ends"] == Value::Bool(true) {
        await_end(done["pid"].as_i64().unwrap_or(0));
    }
    if let Some(left) = done["left"].as_array().filter(|left| !left.is_empty()) {
        bail!("processes {left:?} do not end");
    }
    say(quiet, "Model destroyed.");
    Ok(())
}

fn model_config(model: ModelRef, words: &[String], reset: Vec<String>, format: &Format) -> Result<()> {
    if let ([key], true) = (words, reset.is_empty())
        && !key.contains('=')
    {
        let all = ask(&Call::ModelConfig { model, set: BTreeMap::new(), reset })?;
        let entry = all.get(key).with_context(|| format!("key {key:?} not found in \"localjuju\" model"))?;
        return print::value(&entry["Value"], format, "smart", crate::tools::output::smart);
    }
    let set = pairs(words)?;
    let changes = !set.is_empty() || !reset.is_empty();
    let all = ask(&Call::ModelConfig { model, set, reset })?;
    if changes { Ok(()) } else { print::value(&all, format, "tabular", print::settings) }
}

fn deploy(model: ModelRef, options: Deploy, quiet: bool) -> Result<()> {
    let mut set = BTreeMap::new();
    let mut typed = Map::new();
    let path = std::path::absolute(&options.charm)?;
    for word in &options.config {
        match word.split_once('=') {
            Some((key, value)) => {
                set.insert(key.to_owned(), value.to_owned());
            }
            None => typed.extend(yaml_map(Path::new(word))?),
        }
    }
    let app =
        options.name.clone().or_else(|| typed.iter().find(|(_, value)| value.is_object()).map(|(key, _)| key.clone()));
    let typed = app.map_or(typed.clone(), |app| settings(typed, &app));
    let request = api::Deploy {
        model,
        path,
        name: options.name,
        units: options.num_units,
        set: with_files(set)?,
        typed,
        storage: pairs(&options.storage)?,
        attach: options.attach_storage,
        to: options.to,
        trust: options.trust,
    };
    let done = ask(&Call::Deploy(Box::new(request)))?;
    let (charm, revision) = (print::text(&done, "/charm"), &done["revision"]);
    say(quiet, &format!("Located local charm \"{charm}\", revision {revision}"));
    say(
        quiet,
        &format!(
            "Deploying {:?} from local charm \"{charm}\", revision {revision} on ubuntu@24.04/stable",
            print::text(&done, "/application")
        ),
    );
    Ok(())
}

fn told_storage(entry: &Value, removal: &Removal, quiet: bool) {
    let word = if removal.destroy_storage { "remove" } else { "detach" };
    for id in entry["storage"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        say(quiet, &format!("- will {word} storage {id}"));
    }
}

fn remove_units(model: ModelRef, names: Vec<String>, count: u32, removal: &Removal, quiet: bool) -> Result<()> {
    confirm(removal.no_prompt, &format!("This command will remove {}.", names.join(", ")))?;
    if removal.dry_run {
        return Ok(());
    }
    let told =
        ask(&Call::RemoveUnit { model, names, count, destroy_storage: removal.destroy_storage, force: removal.force })?;
    for entry in told.as_array().into_iter().flatten() {
        say(quiet, &format!("will remove unit {}", print::text(entry, "/unit")));
        told_storage(entry, removal, quiet);
    }
    Ok(())
}

fn remove_applications(model: ModelRef, names: Vec<String>, removal: &Removal, quiet: bool) -> Result<()> {
    confirm(removal.no_prompt, &format!("This command will remove {}.", names.join(", ")))?;
    if removal.dry_run {
        return Ok(());
    }
    let told =
        ask(&Call::RemoveApplication { model, names, destroy_storage: removal.destroy_storage, force: removal.force })?;
    for entry in told.as_array().into_iter().flatten() {
        say(quiet, &format!("will remove application {}", print::text(entry, "/application")));
        for unit in entry["units"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            say(quiet, &format!("- will remove unit {unit}"));
        }
        told_storage(entry, removal, quiet);
    }
    Ok(())
}

fn config(
    model: ModelRef,
    app: &str,
    words: &[String],
    reset: Vec<String>,
    file: Option<&Path>,
    format: &Format,
) -> Result<()> {
    let file_values = file.map(yaml_map).transpose()?.map(|map| settings(map, app)).unwrap_or_default();
    if let ([key], true, true) = (words, reset.is_empty(), file.is_none())
        && !key.contains('=')
    {
        let all = ask(&Call::Config { model, app: app.to_owned() })?;
        let entry = all["settings"].get(key).or_else(|| all["application-config"].get(key));
        let value = entry
            .with_context(|| format!("key {key:?} not found in {app:?} application config or charm settings"))?
            .get("value");
        let text = match value {
            Some(Value::String(text)) => format!("{text}\n"),
            Some(other) => format!("{other}\n"),
            None => "\n".to_owned(),
        };
        return print::value(value.unwrap_or(&Value::Null), format, "plain", |_| text);
    }
    if words.is_empty() && reset.is_empty() && file.is_none() {
        let all = ask(&Call::Config { model, app: app.to_owned() })?;
        return print::value(&all, format, "yaml", crate::tools::output::yaml);
    }
    ask(&Call::SetConfig { model, app: app.to_owned(), set: with_files(pairs(words)?)?, typed: file_values, reset })?;
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

fn ssh(model: ModelRef, target: &str, words: &[String]) -> Outcome {
    let target = target.rsplit_once('@').map_or(target, |(_, target)| target);
    let commands = words.join(" ");
    let numeric = target.parse::<u32>().is_ok();
    let targets = Targets {
        units: if numeric { Vec::new() } else { vec![target.to_owned()] },
        machines: if numeric { vec![target.to_owned()] } else { Vec::new() },
        ..Targets::default()
    };
    if commands.is_empty() {
        return Err(Failure {
            code: 2,
            text: "a command is needed: there is no other machine to log in to".to_owned(),
        });
    }
    let scheduled = ask(&Call::Exec { model: model.clone(), targets, commands })?;
    let id = scheduled.pointer("/tasks/0/id").and_then(Value::as_u64).context("nothing was scheduled")?;
    let task = run::wait(&model, id, Instant::now() + Duration::from_secs(3600), false)?.context("timed out")?;
    out(print::text(&task, "/results/stdout"));
    eprint!("{}", print::text(&task, "/results/stderr"));
    match task.pointer("/results/return-code").and_then(Value::as_i64).unwrap_or(-1) {
        0 => Ok(()),
        code => Err(Failure { code: u8::try_from(code & 0xff).unwrap_or(1), text: format!("exit status {code}") }),
    }
}

fn scp(words: &[String]) -> Result<()> {
    let local = |word: &str| word.split_once(':').map_or(word.to_owned(), |(_, path)| path.to_owned());
    let paths: Vec<String> = words.iter().filter(|word| !word.starts_with('-')).map(|word| local(word)).collect();
    let status = std::process::Command::new("cp").arg("-r").arg("--").args(&paths).status().context("starting cp")?;
    if status.success() { Ok(()) } else { bail!("exit status {}", status.code().unwrap_or(1)) }
}
