//! Is PostgreSQL really down? Patroni's end does not prove it: it starts
//! PostgreSQL in a session of its own, which outlives a Patroni that was killed.

use std::path::Path;
use std::time::Duration;

use crate::sys::files;
use crate::sys::process::{Exit, Invocation, OsUser, ProcessError, Runner};

#[derive(Debug, thiserror::Error)]
pub enum StopError {
    #[error("asking for the server of {0}")]
    Run(String, #[source] ProcessError),
    #[error("the server of {data} does not stop: {why}")]
    Runs { data: String, why: String },
}

/// Ends the server of a data directory, if one runs. No directory, no server.
pub async fn ensure_stopped(runner: &Runner, user: &OsUser, data: &Path) -> Result<(), StopError> {
    if !files::exists(data) || !runs(runner, user, data).await? {
        return Ok(());
    }
    let stop = pg_ctl(user, data, &["stop", "-m", "fast", "-w", "-t", "170"], Duration::from_secs(180));
    let shown = data.display().to_string();
    let output = runner.run(&stop).await.map_err(|source| StopError::Run(shown.clone(), source))?;
    match runs(runner, user, data).await? {
        true => Err(StopError::Runs { data: shown, why: output.last_line().to_owned() }),
        false => Ok(()),
    }
}

async fn runs(runner: &Runner, user: &OsUser, data: &Path) -> Result<bool, StopError> {
    let status = pg_ctl(user, data, &["status"], Duration::from_secs(30));
    let output = runner.run(&status).await.map_err(|source| StopError::Run(data.display().to_string(), source))?;
    // 3: no server; 4: not a data directory (PostgreSQL documentation, "pg_ctl").
    Ok(output.exit == Exit::Code(0))
}

fn pg_ctl(user: &OsUser, data: &Path, args: &[&str], deadline: Duration) -> Invocation {
    let data = data.display().to_string();
    Invocation::new("pg_ctl").args(args.iter().copied()).args(["-D", &data]).as_user(user).within(deadline)
}
