//! Why were we started: as a charm's `dispatch`, or as the server that a hook left running.
#![allow(
    clippy::disallowed_methods,
    reason = "a charm of its own for tests, outside the agent's walls: it is its own edge"
)]

use std::env;
use std::path::Path;
use std::process::ExitCode;

use object_storage::{charm, server};

const USAGE: &str = "usage: object-storage serve [--detach] --config FILE   (or run by Juju as `dispatch`)";

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let done = match (env::var("JUJU_DISPATCH_PATH"), args.as_slice()) {
        (Ok(path), []) if !path.is_empty() => charm::dispatch(&path),
        (_, ["serve", "--config", file]) => server::run(Path::new(file), server::Attached::Yes),
        (_, ["serve", "--detach", "--config", file]) => server::run(Path::new(file), server::Attached::No),
        _ => Err(anyhow::anyhow!(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("object-storage: {err:#}");
            ExitCode::FAILURE
        }
    }
}
