//! The daemon's own socket and life: one daemon per home, started by the first command, ended with the last model.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use serde_json::{Value, json};

use super::{Daemon, Shared, agent, files, network, now, power, reap, remove, store};
use crate::api::{self, Call};
use crate::model::{TaskStatus, Work};

/// An empty daemon lingers this long for the next command.
const LINGER: Duration = Duration::from_secs(2);

pub(crate) fn socket(home: &Path) -> std::path::PathBuf {
    home.join("daemon.socket")
}

/// The lock of the home. The file may be removed by the daemon that ends: then it is another file now.
fn take_lock(home: &Path) -> Result<Flock<fs::File>> {
    let path = home.join("daemon.lock");
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => {
                let same =
                    fs::metadata(&path).is_ok_and(|now| lock.metadata().is_ok_and(|held| held.ino() == now.ino()));
                if same {
                    return Ok(lock);
                }
            }
            Err(_) if UnixStream::connect(socket(home)).is_ok() || Instant::now() > deadline => {
                bail!("another daemon serves {}", home.display())
            }
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Whatever the caller of the first command had open is not ours to keep, nor to hand on to hooks.
fn close_inherited() {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // The one that listed the directory is closed already.
        let _ = nix::unistd::close(fd);
    }
}

pub(crate) fn serve(home: &Path, program: &Path, path: &str) -> Result<()> {
    close_inherited();
    files::make_directory(home)?;
    files::check_socket_path(&socket(home))?;
    let _lock = take_lock(home)?;
    let _ = nix::unistd::setsid();
    std::env::set_current_dir("/")?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    // Signals are waited for by one thread; all threads made from here on inherit the mask.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    signals.thread_block()?;
    reap::adopt_orphans();
    let mut world = store::load(home)?;
    recover(&mut world);
    for model in world.models.values() {
        let powered = model.machines.iter().filter(|(_, machine)| machine.off.is_none());
        let links: Vec<_> = powered.filter_map(|(id, _)| model.link(*id)).collect();
        if let Some(bridge) = &model.bridge {
            network::restore(bridge, &links);
        }
    }
    let daemon = Arc::new(Daemon::new(home.to_owned(), program.to_owned(), path.to_owned(), world));
    let _ = fs::remove_file(socket(home));
    let listener = UnixListener::bind(socket(home)).context("binding the daemon's socket")?;
    fs::set_permissions(socket(home), fs::Permissions::from_mode(0o600))?;
    {
        let mut shared = daemon.lock();
        shared.live.last_use = Some(Instant::now());
        agent::start_missing(&daemon, &mut shared);
    }
    thread::spawn({
        let daemon = Arc::clone(&daemon);
        move || {
            let _ = signals.wait();
            stop(&daemon);
        }
    });
    thread::spawn({
        let daemon = Arc::clone(&daemon);
        move || end_when_empty(&daemon)
    });
    thread::spawn({
        let daemon = Arc::clone(&daemon);
        move || {
            power::finish_off(&daemon);
            power::end_leases(&daemon);
        }
    });
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let daemon = Arc::clone(&daemon);
        thread::spawn(move || converse(&daemon, stream));
    }
    Ok(())
}

/// What a daemon that was killed has left behind: a hook is queued again, an action has failed.
fn recover(world: &mut crate::model::World) {
    for model in world.models.values_mut() {
        for unit in model.units.values_mut() {
            let Some(running) = unit.local.running.take() else { continue };
            if let Some(pid) = running.pid {
                remove::kill_leftover(pid, &running.context);
            }
            match running.what {
                Work::Hook(hook) => {
                    unit.local.failed = None;
                    unit.local.queued = Some(hook);
                }
                Work::Task(id) => {
                    if let Some(task) = model.tasks.get_mut(&id) {
                        task.status = TaskStatus::Failed;
                        "action terminated".clone_into(&mut task.message);
                        task.completed = Some(now());
                    }
                }
                Work::Command(_) => {}
            }
        }
    }
}

/// Ends the running hooks (they will be run again), saves, and ends the process.
pub(crate) fn stop(daemon: &Daemon) {
    let mut shared = daemon.lock();
    shared.live.stopping = true;
    daemon.wake();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let pids: Vec<i32> = shared
            .world
            .models
            .values()
            .flat_map(|model| model.units.values())
            .filter_map(|unit| unit.local.running.as_ref()?.pid)
            .collect();
        if pids.is_empty() || Instant::now() > deadline {
            break;
        }
        let late = Instant::now() + Duration::from_secs(8) > deadline;
        for pid in pids {
            let signal = if late { Signal::SIGKILL } else { Signal::SIGTERM };
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
        }
        shared = daemon.wait(shared, Duration::from_millis(50));
    }
    daemon.commit(&shared);
    let _ = fs::remove_file(socket(&daemon.home));
    leave(daemon, &shared);
    std::process::exit(0);
}

/// A home without models keeps no file.
fn leave(daemon: &Daemon, shared: &Shared) {
    if !shared.world.models.is_empty() {
        return;
    }
    for name in ["state.json", "state.json.next", "daemon.log", "daemon.socket", "daemon.lock"] {
        let _ = fs::remove_file(daemon.home.join(name));
    }
    let _ = fs::remove_dir(daemon.home.join("models"));
    let _ = fs::remove_dir(&daemon.home);
}

fn end_when_empty(daemon: &Daemon) {
    loop {
        let shared = daemon.lock();
        let idle = shared.live.last_use.is_none_or(|time| time.elapsed() > LINGER);
        if shared.world.models.is_empty() && shared.live.connections == 0 && idle {
            drop(shared);
            stop(daemon);
            return;
        }
        drop(daemon.wait(shared, Duration::from_millis(500)));
        thread::sleep(Duration::from_millis(100));
    }
}

fn client(stream: &UnixStream) -> Option<i32> {
    let found = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials).ok()?;
    Some(found.pid())
}

fn converse(daemon: &Arc<Daemon>, mut stream: UnixStream) {
    daemon.lock().live.connections += 1;
    let client = client(&stream);
    let mut ending = false;
    if let Ok(copy) = stream.try_clone() {
        for line in BufReader::new(copy).lines() {
            let Ok(line) = line else { break };
            let reply = match serde_json::from_str::<Call>(&line) {
                Ok(call) => {
                    ending = matches!(call, Call::StopDaemon) || matches!(call, Call::DestroyModel { .. });
                    answer(daemon, call, client)
                }
                Err(fault) => json!({"error": format!("bad request: {fault}")}),
            };
            if writeln!(stream, "{reply}").is_err() {
                break;
            }
            if ending && last_one_out(daemon, &reply) {
                stop(daemon);
            }
        }
    }
    let mut shared = daemon.lock();
    shared.live.connections -= 1;
    shared.live.last_use = Some(Instant::now());
    drop(shared);
    daemon.wake();
}

fn last_one_out(_daemon: &Daemon, reply: &Value) -> bool {
    reply.pointer("/ok/ends").and_then(Value::as_bool).unwrap_or(false)
}

fn answer(daemon: &Arc<Daemon>, call: Call, client: Option<i32>) -> Value {
    match api::handle(daemon, call, client) {
        Ok(value) => json!({ "ok": value }),
        Err(fault) => json!({ "error": format!("{fault:#}") }),
    }
}
