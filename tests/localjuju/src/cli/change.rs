//! The commands that change a model and have something to tell about it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

use super::args::{Deploy, Format, Removal};
use super::client::{ask, await_end};
use super::input::{pairs, settings, with_files, yaml_map};
use super::print;
use crate::api::{self, Call, ModelRef};

pub(super) fn say(quiet: bool, text: &str) {
    if !quiet {
        eprintln!("{text}");
    }
}

pub(super) fn confirm(removal: bool, question: &str) -> Result<()> {
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

pub(super) fn destroy(name: &str, no_prompt: bool, force: bool, quiet: bool) -> Result<()> {
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

pub(super) fn model_config(model: ModelRef, words: &[String], reset: Vec<String>, format: &Format) -> Result<()> {
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

pub(super) fn deploy(model: ModelRef, options: Deploy, quiet: bool) -> Result<()> {
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

pub(super) fn told_storage(entry: &Value, removal: &Removal, quiet: bool) {
    let word = if removal.destroy_storage { "remove" } else { "detach" };
    for id in entry["storage"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        say(quiet, &format!("- will {word} storage {id}"));
    }
}

pub(super) fn remove_units(
    model: ModelRef,
    names: Vec<String>,
    count: u32,
    removal: &Removal,
    quiet: bool,
) -> Result<()> {
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

pub(super) fn remove_applications(model: ModelRef, names: Vec<String>, removal: &Removal, quiet: bool) -> Result<()> {
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

pub(super) fn config(
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
