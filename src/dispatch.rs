//! From "why were we started" to an exit code.

use tracing_subscriber::filter::LevelFilter;

use crate::juju::{Context, Juju};
use crate::model::{AgentError, error_chain};
use crate::started::{Started, started};
use crate::sys::environment::Vars;
use crate::sys::process::Runner;
use crate::{actions, cli, hooks};

/// Runs what we were started for. A failed action exits 0: any other code would
/// replace its message by "exit status N" (Juju's `finalizeAction`).
pub async fn run(vars: Vars, args: Vec<String>) -> u8 {
    log_to_stderr(&vars);
    match started(&vars) {
        Started::Cli => cli::run(&vars, args).await,
        Started::Action(name) => {
            exit_code(in_context(&vars, async |context, juju| actions::run(&vars, context, juju, &name).await).await)
        }
        Started::Hook(name) => {
            exit_code(in_context(&vars, async |context, juju| hooks::run(&vars, context, juju, &name).await).await)
        }
    }
}

async fn in_context(
    vars: &Vars,
    body: impl AsyncFnOnce(Context, Juju) -> Result<(), AgentError>,
) -> Result<(), AgentError> {
    let context = Context::from_vars(vars).map_err(|error| AgentError::fault("reading Juju's context", error))?;
    let juju = Juju::new(Runner::new(vars.get("PATH").map(String::as_str).unwrap_or_default()), vars);
    body(context, juju).await
}

fn exit_code(result: Result<(), AgentError>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("{}", error_chain(&error));
            1
        }
    }
}

/// Juju logs stderr at WARNING: by default only warnings are worth it.
/// `PG_BACKUP_AGENT_LOG=trace` shows more, in tests and by hand.
fn log_to_stderr(vars: &Vars) {
    let wanted = vars.get("PG_BACKUP_AGENT_LOG").and_then(|level| level.parse::<LevelFilter>().ok());
    let level = wanted.unwrap_or(LevelFilter::WARN);
    // Fails only when set twice, which tests do.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .try_init();
}
