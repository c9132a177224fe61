//! Why were we started -> run -> exit code; no logic.

use std::process::ExitCode;

use pg_backup_agent::{dispatch, sys};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = sys::environment::args();
    ExitCode::from(dispatch::run(sys::environment::vars(), args).await)
}
