//! What the end of an operation means: flushed or dropped, an error, a retry, an action's result.

use base64::Engine as _;
use serde_json::{Map, Value};

use super::agent::Job;
use super::process::{End, Output};
use super::work::Outcome;
use super::{Daemon, Shared, model_by_uuid, now};
use crate::ids;
use crate::model::names::unit_tag;
use crate::model::{Model, TaskStatus, Work};
use crate::uniter::context::{Context, Reboot};
use crate::uniter::hook::Hook;
use crate::uniter::{commit, flush};

pub(super) fn finish(
    daemon: &Daemon,
    shared: &mut Shared,
    uuid: &str,
    unit: &str,
    job: &Job,
    context: &mut Context,
    outcome: Outcome,
) {
    let time = now();
    let Shared { world, live } = shared;
    let Some(model) = model_by_uuid(world, uuid) else { return };
    if let Some(unit) = model.units.get_mut(unit) {
        unit.local.running = None;
        unit.agent_since = time;
    }
    let cut_short = CutShort { stopping: live.stopping, off: model.is_off(unit) };
    let log = |level: &str, message: &str| {
        daemon.log(&job.model, &unit_tag(unit), level, "juju.worker.uniter.operation", message);
    };
    match &job.work {
        Work::Hook(hook) => {
            let ended = end_of_hook(&outcome, cut_short);
            finish_hook(daemon, model, unit, job, hook, context, ended, &log);
        }
        Work::Task(id) => {
            let results = finish_task(daemon, model, unit, context, outcome, cut_short);
            if let Some(task) = model.tasks.get_mut(id) {
                let aborted = task.status == TaskStatus::Aborting;
                (task.status, task.message, task.results) = results;
                if aborted {
                    task.status = TaskStatus::Aborted;
                    "action cancelled via the API".clone_into(&mut task.message);
                }
                task.completed = Some(time);
                log("INFO", &format!("action {id} ({}) on {unit}: {}", task.name, task.status.text()));
            }
        }
        Work::Command(id) => {
            let result = match outcome {
                Outcome::Ended(Output { end: End::Code(code), stdout, stderr }) => {
                    match make(daemon, model, unit, context) {
                        Ok(()) => (code, stdout, stderr),
                        Err(text) => (1, stdout, format!("ERROR {text}\n").into_bytes()),
                    }
                }
                Outcome::Ended(Output { end: End::Signal(signal), stdout, stderr }) => (128 + signal, stdout, stderr),
                Outcome::NotStarted(text) => (1, Vec::new(), format!("ERROR {text}\n").into_bytes()),
                Outcome::Missing => (1, Vec::new(), b"ERROR command is gone\n".to_vec()),
            };
            if let Some(command) = live.commands.get_mut(id) {
                command.result = Some(result);
            }
        }
    }
}

enum HookEnd {
    Good,
    Skipped,
    Failed(String),
    /// Killed: it did not fail, it is run again.
    Terminated,
}

/// Why a process may have been ended from outside.
#[derive(Clone, Copy)]
struct CutShort {
    stopping: bool,
    /// Without power nothing reaches the controller, not even a good end.
    off: bool,
}

fn end_of_hook(outcome: &Outcome, cut_short: CutShort) -> HookEnd {
    const TERMINATING: [i32; 2] = [nix::libc::SIGTERM, nix::libc::SIGKILL];
    match outcome {
        _ if cut_short.off => HookEnd::Terminated,
        Outcome::Missing => HookEnd::Skipped,
        Outcome::NotStarted(text) => HookEnd::Failed(text.clone()),
        Outcome::Ended(Output { end: End::Code(0), .. }) => HookEnd::Good,
        Outcome::Ended(_) if cut_short.stopping => HookEnd::Terminated,
        Outcome::Ended(Output { end: End::Signal(signal), .. }) if TERMINATING.contains(signal) => HookEnd::Terminated,
        Outcome::Ended(Output { end: End::Code(code), .. }) => HookEnd::Failed(format!("exit status {code}")),
        Outcome::Ended(Output { end: End::Signal(signal), .. }) => HookEnd::Failed(format!("signal: {signal}")),
    }
}

#[allow(clippy::too_many_arguments, reason = "one hook's end needs all of what its beginning made")]
fn finish_hook(
    daemon: &Daemon,
    model: &mut Model,
    unit: &str,
    job: &Job,
    hook: &Hook,
    context: &mut Context,
    ended: HookEnd,
    log: &impl Fn(&str, &str),
) {
    let name = hook.name();
    let ended = match ended {
        HookEnd::Good => match make(daemon, model, unit, context) {
            Ok(()) => HookEnd::Good,
            Err(text) => HookEnd::Failed(text),
        },
        other => other,
    };
    match ended {
        HookEnd::Good => {
            log("INFO", &format!("ran {name:?} hook (via hook dispatching script: dispatch)"));
            commit::done(model, unit, hook, job.config_mark, now());
            if context.reboot == Reboot::After
                && let Some(unit) = model.units.get_mut(unit).filter(|unit| unit.local.started)
            {
                // There is no machine to boot; the charm sees what follows a boot.
                unit.local.queued.get_or_insert(Hook::Start);
            }
        }
        HookEnd::Skipped => {
            log("INFO", &format!("skipped {name:?} hook (missing)"));
            commit::done(model, unit, hook, job.config_mark, now());
        }
        HookEnd::Failed(text) => {
            log("ERROR", &format!("hook {name:?} (via hook dispatching script: dispatch) failed: {text}"));
            let jitter = f64::from(ids::bytes::<1>()[0]) / 255.0;
            commit::failed(model, unit, hook, jitter, now());
        }
        HookEnd::Terminated => {
            log("WARNING", &format!("hook {name:?} was terminated and will be run again"));
            if let Some(unit) = model.units.get_mut(unit).filter(|unit| !unit.local.rebooted) {
                unit.local.queued = Some(hook.clone());
                unit.local.failed = None;
            }
        }
    }
}

/// Applies what the run has asked for, all or nothing.
fn make(daemon: &Daemon, model: &mut Model, unit: &str, context: &mut Context) -> Result<(), String> {
    let storage = flush::flush(model, context, now())?;
    for (name, count) in storage {
        for _ in 0..count {
            daemon.make_storage(model, unit, &name).map_err(|fault| format!("{fault:#}"))?;
        }
    }
    Ok(())
}

fn text_result(results: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let end = if text.ends_with('\n') { "" } else { "\n" };
            results.insert(key.to_owned(), Value::from(format!("{text}{end}")));
        }
        Err(_) => {
            results.insert(key.to_owned(), Value::from(base64::engine::general_purpose::STANDARD.encode(bytes)));
            results.insert(format!("{key}-encoding"), Value::from("base64"));
        }
    }
}

type TaskEnd = (TaskStatus, String, Map<String, Value>);

fn finish_task(
    daemon: &Daemon,
    model: &mut Model,
    unit: &str,
    context: &mut Context,
    outcome: Outcome,
    cut_short: CutShort,
) -> TaskEnd {
    let mut results = std::mem::take(&mut context.action.results);
    if cut_short.off {
        return (TaskStatus::Failed, "action terminated".to_owned(), results);
    }
    let commands = context.name() == "juju-exec";
    let output = match outcome {
        Outcome::Ended(output) => output,
        Outcome::Missing => {
            return (TaskStatus::Failed, format!("action not implemented on unit {unit:?}"), results);
        }
        Outcome::NotStarted(text) => return (TaskStatus::Failed, text, results),
    };
    text_result(&mut results, "stdout", &output.stdout);
    text_result(&mut results, "stderr", &output.stderr);
    let code = match output.end {
        End::Code(code) => code,
        End::Signal(_) if cut_short.stopping => return (TaskStatus::Failed, "action terminated".to_owned(), results),
        End::Signal(signal) => {
            results.insert("return-code".to_owned(), Value::from(-1));
            let word = nix::sys::signal::Signal::try_from(signal).map_or("unknown", |signal| signal.as_str());
            return (TaskStatus::Failed, format!("signal: {}", word.trim_start_matches("SIG").to_lowercase()), results);
        }
    };
    results.insert("return-code".to_owned(), Value::from(code));
    if code != 0 && !commands {
        return (TaskStatus::Failed, format!("exit status {code}"), results);
    }
    let failed = context.action.failed.take();
    if let Err(text) = make(daemon, model, unit, context) {
        let before = results.get("stderr").and_then(Value::as_str).unwrap_or_default().to_owned();
        results.insert("stderr".to_owned(), Value::from(format!("{before}{text}\n")));
        results.insert("return-code".to_owned(), Value::from("1"));
        return (
            TaskStatus::Failed,
            failed.unwrap_or_else(|| "committing requested changes failed".to_owned()),
            results,
        );
    }
    match failed {
        Some(message) => (TaskStatus::Failed, message, results),
        None => (TaskStatus::Completed, String::new(), results),
    }
}
