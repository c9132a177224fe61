//! The unit's agent.socket: answers hook tools while their context lives, and queues `juju-exec`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Command, Daemon, model_by_uuid, now};
use crate::model::names::unit_tag;
use crate::tools::{self, Call, Fail};
use crate::uniter::context::Reboot;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToolRequest {
    Tool { context: String, name: String, args: Vec<String>, directory: PathBuf, stdin: Option<String> },
    Exec { unit: String, commands: String, relation: Option<String>, remote: Option<String> },
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ToolReply {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) needs_stdin: bool,
}

/// Stops listening when dropped.
pub(super) struct Server {
    stop: Arc<AtomicBool>,
    path: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the listener; whatever comes after finds no socket.
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

pub(super) fn serve(daemon: &Arc<Daemon>, uuid: &str, unit: &str, path: &Path) -> Result<Server> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).with_context(|| format!("binding {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let stop = Arc::new(AtomicBool::new(false));
    let server = Server { stop: Arc::clone(&stop), path: path.to_owned() };
    let (daemon, uuid, unit) = (Arc::clone(daemon), uuid.to_owned(), unit.to_owned());
    thread::spawn(move || {
        for stream in listener.incoming() {
            if stop.load(Ordering::Acquire) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let (daemon, uuid, unit) = (Arc::clone(&daemon), uuid.clone(), unit.clone());
            thread::spawn(move || answer(&daemon, &uuid, &unit, stream));
        }
    });
    Ok(server)
}

fn answer(daemon: &Daemon, uuid: &str, unit: &str, mut stream: UnixStream) {
    let mut line = String::new();
    let Ok(copy) = stream.try_clone() else { return };
    if BufReader::new(copy).read_line(&mut line).is_err() || line.is_empty() {
        return;
    }
    let reply = match serde_json::from_str(&line) {
        Ok(ToolRequest::Tool { context, name, args, directory, stdin }) => {
            tool(daemon, uuid, unit, &context, &name, args, directory, stdin)
        }
        Ok(ToolRequest::Exec { unit: wanted, commands, relation, remote }) => {
            let wanted = if wanted.is_empty() { unit.to_owned() } else { wanted };
            exec(daemon, uuid, &wanted, commands, relation, remote)
        }
        Err(fault) => error(1, &format!("bad request: {fault}")),
    };
    if let Ok(mut text) = serde_json::to_vec(&reply) {
        text.push(b'\n');
        let _ = stream.write_all(&text);
    }
}

pub(crate) fn error(code: i32, text: &str) -> ToolReply {
    ToolReply { code, stderr: format!("ERROR {text}\n").into_bytes(), ..ToolReply::default() }
}

#[allow(clippy::too_many_arguments, reason = "the fields of one request")]
fn tool(
    daemon: &Daemon,
    uuid: &str,
    unit: &str,
    id: &str,
    name: &str,
    args: Vec<String>,
    directory: PathBuf,
    stdin: Option<String>,
) -> ToolReply {
    let found = daemon.lock().live.contexts.get(id).cloned();
    let Some(found) = found else {
        return error(1, &format!("bad request: expected valid context id, got {id:?}"));
    };
    // One tool at a time in one run.
    let mut context = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut shared = daemon.lock();
    if context.unit != unit || !shared.live.contexts.contains_key(id) {
        return error(1, &format!("bad request: expected valid context id, got {id:?}"));
    }
    let Some(model) = model_by_uuid(&mut shared.world, uuid) else { return error(1, "model is gone") };
    let model_name = model.name.clone();
    let mut call =
        Call { model, context: &mut context, args, stdin, directory, now: now(), log: Vec::new(), changed: false };
    let answer = tools::run(name, &mut call);
    let (log, changed) = (std::mem::take(&mut call.log), call.changed);
    if changed {
        daemon.commit(&shared);
    }
    let pid = model_by_uuid(&mut shared.world, uuid)
        .and_then(|model| model.units.get(unit))
        .and_then(|unit| unit.local.running.as_ref())
        .and_then(|running| running.pid);
    drop(shared);
    for (level, message) in log {
        daemon.log(&model_name, &unit_tag(unit), &level, &format!("unit.{unit}.juju-log"), &message);
    }
    if let (Reboot::Now, Some(pid)) = (context.reboot, pid) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
    }
    match answer {
        Ok(stdout) => ToolReply { stdout: stdout.into_bytes(), ..ToolReply::default() },
        Err(Fail::Usage(text)) => error(2, &text),
        Err(Fail::Run(text)) => error(1, &text),
        Err(Fail::NeedsStdin) => ToolReply { needs_stdin: true, ..ToolReply::default() },
        Err(Fail::Help) => {
            ToolReply { stdout: format!("Usage: {name} [options] ...\n").into_bytes(), ..ToolReply::default() }
        }
    }
}

fn exec(
    daemon: &Daemon,
    uuid: &str,
    unit: &str,
    commands: String,
    relation: Option<String>,
    remote: Option<String>,
) -> ToolReply {
    let mut shared = daemon.lock();
    let known = model_by_uuid(&mut shared.world, uuid).is_some_and(|model| model.units.contains_key(unit));
    if !known {
        return error(1, &format!("unit {unit:?} not found"));
    }
    let relation =
        match relation.map(|text| text.rsplit(':').next().and_then(|number| number.parse::<u32>().ok()).ok_or(text)) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err(text)) => return error(2, &format!("invalid relation id {text:?}")),
        };
    let id = shared.live.next_command;
    shared.live.next_command += 1;
    let command = Command {
        model: uuid.to_owned(),
        unit: unit.to_owned(),
        text: commands,
        relation,
        remote,
        begun: false,
        result: None,
    };
    shared.live.commands.insert(id, command);
    daemon.wake();
    loop {
        if shared.live.stopping {
            shared.live.commands.remove(&id);
            return error(1, "agent is shutting down");
        }
        let gone = model_by_uuid(&mut shared.world, uuid).is_none_or(|model| !model.units.contains_key(unit));
        let result = shared.live.commands.get(&id).and_then(|command| command.result.clone());
        // Without power, what was asked for is forgotten.
        let gone = gone || !shared.live.commands.contains_key(&id);
        if result.is_some() || gone {
            shared.live.commands.remove(&id);
            return match result {
                Some((code, stdout, stderr)) => ToolReply { code, stdout, stderr, needs_stdin: false },
                None => error(1, "unit is gone"),
            };
        }
        shared = daemon.wait(shared, Duration::from_secs(5));
    }
}
