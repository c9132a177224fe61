//! Runs one operation: what is executed, and waiting for its end. What the end means is in finish.rs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::agent::Job;
use super::finish::finish;
use super::process::{Output, Stream};
use super::{Daemon, model_by_uuid, process};
use crate::model::names::unit_tag;
use crate::model::{TaskStatus, Work};
use crate::uniter::context::{Context, Run};
use crate::uniter::hook::Hook;

/// How the process of an operation came to its end.
pub(super) enum Outcome {
    Ended(Output),
    Missing,
    NotStarted(String),
}

pub(super) fn work(daemon: &Arc<Daemon>, uuid: &str, unit: &str, job: Job) {
    if let Work::Hook(Hook::UpgradeCharm) = &job.work {
        upgrade(daemon, uuid, unit, &job);
    }
    let outcome = run(daemon, uuid, unit, &job);
    // From here on the context id is worth nothing; a tool that is just running ends first.
    let mut shared = daemon.lock();
    shared.live.contexts.remove(&job.context_id);
    drop(shared);
    let mut context = job.context.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut shared = daemon.lock();
    if let Some(lock) = &job.lock {
        shared.live.locks.remove(lock);
    }
    finish(daemon, &mut shared, uuid, unit, &job, &mut context, outcome);
    daemon.settle(&mut shared);
    daemon.commit(&shared);
}

fn upgrade(daemon: &Daemon, uuid: &str, unit: &str, job: &Job) {
    let mut shared = daemon.lock();
    let app = crate::model::names::app_of(unit);
    let charm = model_by_uuid(&mut shared.world, uuid)
        .and_then(|model| model.apps.get(app))
        .map(|app| (app.charm.name.clone(), app.charm_rev));
    drop(shared);
    if let Some((charm, revision)) = charm
        && let Err(fault) = daemon.lay_out_charm(&job.model, unit, &charm, revision)
    {
        daemon.log(
            &job.model,
            &unit_tag(unit),
            "ERROR",
            "juju.worker.uniter",
            &format!("upgrading the charm: {fault:#}"),
        );
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// What is executed: `dispatch`, or where that is missing the hook's own file.
fn program(charm: &Path, context: &Context) -> Option<PathBuf> {
    let dispatch = charm.join("dispatch");
    if dispatch.exists() {
        return Some(dispatch);
    }
    let own = match &context.run {
        Run::Hook(hook) => charm.join("hooks").join(hook.name()),
        Run::Action { name, .. } => charm.join("actions").join(name),
        Run::Commands { .. } => return None,
    };
    is_executable(&own).then_some(own)
}

fn run(daemon: &Arc<Daemon>, uuid: &str, unit: &str, job: &Job) -> Outcome {
    let (name, target, namespace) = {
        let context = job.context.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut shared = daemon.lock();
        let commands = match &job.work {
            Work::Hook(_) => None,
            Work::Task(id) => {
                model_by_uuid(&mut shared.world, uuid).and_then(|model| model.tasks.get(id)?.commands.clone())
            }
            Work::Command(id) => shared.live.commands.get(id).map(|command| command.text.clone()),
        };
        let target = match commands {
            Some(text) => Some((PathBuf::from("/bin/bash"), vec!["-c".to_owned(), text])),
            None => program(&job.places.charm, &context).map(|program| (program, Vec::new())),
        };
        let model = model_by_uuid(&mut shared.world, uuid);
        let namespace = model.and_then(|model| model.namespace(unit).map(str::to_owned));
        (context.name(), target, namespace)
    };
    let Some((program, arguments)) = target else { return Outcome::Missing };
    let (logger, model, tag) = (Arc::clone(daemon), job.model.clone(), unit_tag(unit));
    let module = format!("unit.{unit}.{name}");
    // Commands answer their caller; what they print (a secret, say) is not for the log.
    let logs = matches!(job.work, Work::Hook(_)) || arguments.is_empty();
    let line = move |stream: Stream, text: &str| {
        if !logs {
            return;
        }
        let level = if stream == Stream::Out { "DEBUG" } else { "WARNING" };
        logger.log(&model, &tag, level, &module, text);
    };
    let started =
        process::start(&program, &arguments, &job.places.charm, namespace.as_deref(), job.variables.clone(), line);
    let running = match started {
        Ok(running) => running,
        Err(fault) => {
            return Outcome::NotStarted(format!(
                "fork/exec {}: {}",
                program.display(),
                crate::tools::args::plain(&fault)
            ));
        }
    };
    let mut shared = daemon.lock();
    let mut cancelled = false;
    if let Some(model) = model_by_uuid(&mut shared.world, uuid) {
        cancelled = matches!(&job.work, Work::Task(id) if model.tasks.get(id).is_some_and(|task| task.status == TaskStatus::Aborting));
        if let Some(noted) = model.units.get_mut(unit).and_then(|unit| unit.local.running.as_mut()) {
            noted.pid = Some(running.pid());
        }
    }
    if cancelled {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.pid()), nix::sys::signal::Signal::SIGKILL);
    }
    daemon.commit(&shared);
    drop(shared);
    match running.wait() {
        Ok(output) => Outcome::Ended(output),
        Err(fault) => Outcome::NotStarted(fault.to_string()),
    }
}
