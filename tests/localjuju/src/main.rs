//! Which program are we: a hook tool, `juju-exec`, the daemon, or the `juju` command line. Argv[0] decides.
#![allow(clippy::disallowed_methods, reason = "a test tool of its own, not the agent")]

mod api;
mod charm;
mod cli;
mod daemon;
mod ids;
mod model;
mod shim;
mod tools;
mod uniter;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let called = if args.is_empty() { String::new() } else { args.remove(0) };
    let name = Path::new(&called).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if matches!(name.as_str(), "juju-exec" | "juju-run") {
        return shim::exec(&called, &args);
    }
    if tools::names().any(|tool| tool == name) {
        return shim::tool(&name, args);
    }
    cli::run(args)
}
