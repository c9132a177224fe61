//! Why were we started -> run -> exit code; no logic.

use std::process::ExitCode;

use anyhow::Context;
use pg_backup_agent::{dispatch, sys};

fn main() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    let code = runtime.block_on(dispatch::run(sys::environment::vars(), sys::environment::args()));
    // What still waits (a session's end, a probe) must not hold up Juju.
    runtime.shutdown_background();
    Ok(ExitCode::from(code))
}
