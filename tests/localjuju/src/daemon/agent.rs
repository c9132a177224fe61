//! A unit's agent: one thread, one operation at a time. Asks the resolver, runs the process, commits what it meant.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Map, Value};

use super::process::{End, Output, Stream};
use super::{Daemon, Shared, files, model_by_uuid, now, process, toolserver};
use crate::ids;
use crate::model::names::unit_tag;
use crate::model::{Model, Running, TaskStatus, Time, Work};
use crate::uniter::context::{Context, Reboot, Run};
use crate::uniter::hook::Hook;
use crate::uniter::{commit, environ, flush, resolver};

/// Starts threads for units that have none.
pub(crate) fn start_missing(daemon: &Arc<Daemon>, shared: &mut Shared) {
    for model in shared.world.models.values() {
        for unit in model.units.keys() {
            let key = (model.uuid.clone(), unit.clone());
            if shared.live.threads.insert(key.clone()) {
                let daemon = Arc::clone(daemon);
                thread::spawn(move || {
                    live(&daemon, &key.0, &key.1);
                    daemon.lock().live.threads.remove(&key);
                    daemon.wake();
                });
            }
        }
    }
}

struct Job {
    work: Work,
    lock: Option<String>,
    config_mark: Option<u64>,
    context: Arc<Mutex<Context>>,
    context_id: String,
    model: String,
    variables: Vec<(String, String)>,
    places: environ::Places,
}

fn live(daemon: &Arc<Daemon>, uuid: &str, unit: &str) {
    let Some(model) = ({
        let mut shared = daemon.lock();
        model_by_uuid(&mut shared.world, uuid).map(|model| model.name.clone())
    }) else {
        return;
    };
    let socket = files::places(&daemon.home, &model, unit).socket;
    let _server = match toolserver::serve(daemon, uuid, unit, &socket) {
        Ok(server) => server,
        Err(fault) => {
            daemon.log(&model, &unit_tag(unit), "ERROR", "juju.worker.uniter", &format!("listening: {fault:#}"));
            return;
        }
    };
    while let Some(job) = next_job(daemon, uuid, unit) {
        work(daemon, uuid, unit, job);
    }
}

/// Waits for the next thing to do. None: the unit is gone or the daemon stops.
fn next_job(daemon: &Daemon, uuid: &str, unit: &str) -> Option<Job> {
    let mut shared = daemon.lock();
    loop {
        if shared.live.stopping {
            return None;
        }
        let time = now();
        let Shared { world, live } = &mut *shared;
        let model = model_by_uuid(world, uuid)?;
        model.units.get(unit)?;
        let entered = resolver::synchronize_scopes(model, unit);
        let mut next = resolver::next_work(model, unit, time);
        let waiting =
            live.commands.iter().find(|(_, command)| command.model == uuid && command.unit == unit && !command.begun);
        let (busy, installed) =
            model.units.get(unit).map(|unit| (unit.local.running.is_some(), unit.local.installed))?;
        if let Some((id, _)) = waiting.filter(|_| installed && !busy && !matches!(next, Some(Work::Task(_)))) {
            next = Some(Work::Command(*id));
        }
        let lock = next.as_ref().and_then(|work| lock_of(model, unit, work));
        let free = lock.as_ref().is_none_or(|lock| !live.locks.contains(lock));
        if let Some(work) = next.filter(|_| free) {
            let job = begin(daemon, &mut shared, uuid, unit, work, lock, time)?;
            daemon.commit(&shared);
            return Some(job);
        }
        let sleep = until_timer(model, unit, time);
        if entered {
            daemon.commit(&shared);
            continue;
        }
        shared = daemon.wait(shared, sleep);
    }
}

fn lock_of(model: &Model, unit: &str, work: &Work) -> Option<String> {
    let machine = model.units.get(unit).map(|unit| unit.machine)?;
    let name = match work {
        Work::Task(id) => model.tasks.get(id).and_then(|task| task.lock.clone())?,
        _ => "machine-lock".to_owned(),
    };
    Some(format!("{}/{machine}/{name}", model.uuid))
}

/// Until something becomes due by time alone.
fn until_timer(model: &Model, name: &str, time: Time) -> Duration {
    let Some(unit) = model.units.get(name) else { return Duration::ZERO };
    let retry = unit.local.failed.as_ref().and_then(|failed| failed.retry_at);
    let secrets = model.secrets.values().filter(|secret| secret.owned_by(name)).flat_map(|secret| {
        let expiry = secret.revisions.get(&secret.latest).and_then(|revision| revision.expires);
        [secret.next_rotate, expiry].into_iter().flatten().filter(|due| *due > time)
    });
    let next =
        [retry, unit.local.update_status_at.filter(|due| *due > time)].into_iter().flatten().chain(secrets).min();
    let wait = next.map_or(60_000, |due| (due - time).num_milliseconds().clamp(5, 60_000));
    Duration::from_millis(wait.unsigned_abs())
}

fn begin(
    daemon: &Daemon,
    shared: &mut Shared,
    uuid: &str,
    name: &str,
    work: Work,
    lock: Option<String>,
    time: Time,
) -> Option<Job> {
    let Shared { world, live } = shared;
    let model = model_by_uuid(world, uuid)?;
    let config_mark = model.units.get(name).and_then(|unit| model.apps.get(&unit.app)).map(resolver::config_mark);
    let run = match &work {
        Work::Hook(hook) => {
            commit::begin(model, name, hook, time);
            Run::Hook(hook.clone())
        }
        Work::Task(id) => {
            let task = model.tasks.get_mut(id)?;
            task.status = TaskStatus::Running;
            task.started = Some(time);
            Run::Action { task: *id, name: task.name.clone(), params: task.params.clone() }
        }
        Work::Command(id) => {
            let command = live.commands.get_mut(id)?;
            command.begun = true;
            Run::Commands { relation: command.relation, remote: command.remote.clone() }
        }
    };
    let mut context = Context::new(String::new(), name, run);
    context.id = format!("{name}-{}-{}", context.name(), ids::hex(&ids::bytes::<16>()));
    let places = files::places(&daemon.home, &model.name, name);
    let variables = environ::variables(model, &context, &places, &daemon.path)?;
    let unit = model.units.get_mut(name)?;
    unit.agent_since = time;
    unit.local.running = Some(Running { what: work.clone(), since: time, context: context.id.clone(), pid: None });
    let (model, context_id) = (model.name.clone(), context.id.clone());
    let context = Arc::new(Mutex::new(context));
    live.contexts.insert(context_id.clone(), Arc::clone(&context));
    if let Some(lock) = &lock {
        live.locks.insert(lock.clone());
    }
    Some(Job { work, lock, config_mark, context, context_id, model, variables, places })
}

/// How the process of an operation came to its end.
enum Outcome {
    Ended(Output),
    Missing,
    NotStarted(String),
}

fn work(daemon: &Arc<Daemon>, uuid: &str, unit: &str, job: Job) {
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
    let (name, target) = {
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
        (context.name(), target)
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
    let started = process::start(&program, &arguments, &job.places.charm, job.variables.clone(), line);
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

fn finish(
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
    let log = |level: &str, message: &str| {
        daemon.log(&job.model, &unit_tag(unit), level, "juju.worker.uniter.operation", message);
    };
    match &job.work {
        Work::Hook(hook) => {
            let ended = end_of_hook(&outcome, live.stopping);
            finish_hook(daemon, model, unit, job, hook, context, ended, &log);
        }
        Work::Task(id) => {
            let results = finish_task(daemon, model, unit, context, outcome, live.stopping);
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

fn end_of_hook(outcome: &Outcome, stopping: bool) -> HookEnd {
    const TERMINATING: [i32; 2] = [nix::libc::SIGTERM, nix::libc::SIGKILL];
    match outcome {
        Outcome::Missing => HookEnd::Skipped,
        Outcome::NotStarted(text) => HookEnd::Failed(text.clone()),
        Outcome::Ended(Output { end: End::Code(0), .. }) => HookEnd::Good,
        Outcome::Ended(_) if stopping => HookEnd::Terminated,
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
            if let Some(unit) = model.units.get_mut(unit) {
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
    stopping: bool,
) -> TaskEnd {
    let mut results = std::mem::take(&mut context.action.results);
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
        End::Signal(_) if stopping => return (TaskStatus::Failed, "action terminated".to_owned(), results),
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
