//! What runs when a charm calls a hook tool or `juju-exec`: asks the agent over its socket and prints the answer.

use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::daemon::{ToolReply, ToolRequest, error};
use crate::model::names::{is_unit, unit_tag};

fn ask(socket: &Path, request: &ToolRequest) -> Result<ToolReply> {
    let mut stream = UnixStream::connect(socket).with_context(|| format!("dial unix {}", socket.display()))?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    serde_json::from_str(&line).context("connection is shut down")
}

fn print(reply: &ToolReply) -> ExitCode {
    let _ = std::io::stdout().write_all(&reply.stdout);
    let _ = std::io::stderr().write_all(&reply.stderr);
    ExitCode::from(u8::try_from(reply.code & 0xff).unwrap_or(1))
}

fn fail(text: &str) -> ExitCode {
    print(&error(1, text))
}

pub(crate) fn tool(name: &str, args: Vec<String>) -> ExitCode {
    let Some(context) = env::var("JUJU_CONTEXT_ID").ok().filter(|id| !id.is_empty()) else {
        return fail("JUJU_CONTEXT_ID not set");
    };
    let Some(socket) = env::var_os("JUJU_AGENT_SOCKET_ADDRESS").filter(|path| !path.is_empty()) else {
        return fail("JUJU_AGENT_SOCKET_ADDRESS not set");
    };
    let directory = env::current_dir().unwrap_or_default();
    let mut stdin = None;
    loop {
        let request = ToolRequest::Tool {
            context: context.clone(),
            name: name.to_owned(),
            args: args.clone(),
            directory: directory.clone(),
            stdin: stdin.clone(),
        };
        match ask(Path::new(&socket), &request) {
            Ok(reply) if reply.needs_stdin && stdin.is_none() => {
                let mut text = Vec::new();
                if let Err(fault) = std::io::stdin().read_to_end(&mut text) {
                    return fail(&format!("cannot read stdin: {fault}"));
                }
                stdin = Some(String::from_utf8_lossy(&text).into_owned());
            }
            Ok(reply) => return print(&reply),
            Err(fault) => return fail(&format!("{fault:#}")),
        }
    }
}

/// The unit's socket: from the link we were called by (`…/tools/unit-x-0/juju-exec`), or from the environment.
fn socket(called: &str, unit: &str) -> Option<PathBuf> {
    let path = PathBuf::from(called);
    let path = if called.contains('/') {
        std::path::absolute(path).ok()
    } else {
        env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(called)).find(|path| path.exists())
    };
    let from_link = path.and_then(|path| {
        let tools = path.parent()?;
        let own = tools.file_name()?.to_string_lossy().into_owned();
        let model = tools.parent()?.parent()?;
        let tag = if unit.is_empty() { own } else { unit_tag(unit) };
        Some(model.join("agents").join(tag).join("agent.socket"))
    });
    let from_environment = || {
        let own = PathBuf::from(env::var_os("JUJU_AGENT_SOCKET_ADDRESS")?);
        if unit.is_empty() {
            return Some(own);
        }
        Some(own.parent()?.parent()?.join(unit_tag(unit)).join("agent.socket"))
    };
    from_link.filter(|path| path.exists()).or_else(from_environment).filter(|path| path.exists())
}

/// `juju-exec [-u UNIT] [-r RELATION] [--remote-unit UNIT] [UNIT] COMMANDS…`
pub(crate) fn exec(called: &str, args: &[String]) -> ExitCode {
    let (mut unit, mut relation, mut remote, mut words) = (String::new(), None, None, Vec::<String>::new());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let (flag, inline) =
            arg.split_once('=').map_or((arg.as_str(), None), |(flag, value)| (flag, Some(value.to_owned())));
        let mut value = || inline.clone().or_else(|| rest.next().cloned()).unwrap_or_default();
        match flag {
            _ if !words.is_empty() => words.push(arg.clone()),
            "-u" | "--unit" => unit = value(),
            "-r" | "--relation" => relation = Some(value()),
            "--remote-unit" => remote = Some(value()),
            "--no-context" | "--force-remote-unit" | "--operator" | "--" => {}
            _ if flag.starts_with('-') => {
                return print(&error(2, &format!("option provided but not defined: {flag}")));
            }
            _ => words.push(arg.clone()),
        }
    }
    if unit.is_empty() && words.len() > 1 && is_unit(&words[0]) {
        unit = words.remove(0);
    }
    if words.is_empty() {
        return print(&error(2, "missing commands"));
    }
    if let Some(context) = env::var("JUJU_CONTEXT_ID").ok().filter(|id| !id.is_empty()) {
        return fail(&format!("juju-exec cannot be called from within a hook, have context {context:?}"));
    }
    let Some(socket) = socket(called, &unit) else { return fail(&format!("unit {unit:?} not found on this machine")) };
    let commands = if words.len() == 1 { words.remove(0) } else { crate::cli::shell_line(&words) };
    match ask(&socket, &ToolRequest::Exec { unit, commands, relation, remote }) {
        Ok(reply) => print(&reply),
        Err(fault) => fail(&format!("{fault:#}")),
    }
}
