//! The charm's `dispatch`: started by Juju only.
#![allow(
    clippy::disallowed_methods,
    reason = "a charm of its own for tests, outside the agent's walls: it is its own edge"
)]

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match env::var("JUJU_DISPATCH_PATH") {
        Ok(path) if !path.is_empty() => certificates::charm::dispatch(&path),
        _ => Err(anyhow::anyhow!("Juju runs this as a charm's `dispatch`: JUJU_DISPATCH_PATH is not set")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("certificates: {err:#}");
            ExitCode::FAILURE
        }
    }
}
