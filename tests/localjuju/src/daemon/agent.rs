//! A unit's agent: one thread, one operation at a time. Asks the resolver what is next and notes that it begins; the
//! work itself is in work.rs.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::work::work;
use super::{Daemon, Shared, files, model_by_uuid, now, toolserver};
use crate::ids;
use crate::model::names::unit_tag;
use crate::model::{Model, Running, TaskStatus, Time, Work};
use crate::uniter::context::{Context, Run};
use crate::uniter::{commit, environ, resolver};

/// Starts threads for units that have none.
pub(crate) fn start_missing(daemon: &Arc<Daemon>, shared: &mut Shared) {
    for model in shared.world.models.values() {
        for unit in model.units.keys().filter(|unit| !model.is_off(unit)) {
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

/// One operation that has begun.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) lock: Option<String>,
    pub(super) config_mark: Option<u64>,
    pub(super) context: Arc<Mutex<Context>>,
    pub(super) context_id: String,
    pub(super) model: String,
    pub(super) variables: Vec<(String, String)>,
    pub(super) places: environ::Places,
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

/// Waits for the next thing to do. None: the unit is gone or has no power, or the daemon stops.
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
        if model.is_off(unit) {
            return None;
        }
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
    let config_mark = model
        .units
        .get(name)
        .and_then(|unit| model.apps.get(&unit.app).map(|app| resolver::config_mark(app, &unit.address)));
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
