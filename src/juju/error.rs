//! What a hook tool said when it refused.

use crate::sys::process::{Output, ProcessError};

#[derive(Debug, thiserror::Error)]
pub enum JujuError {
    #[error("hook tool")]
    Run(#[from] ProcessError),
    #[error("{tool}: {message}")]
    Refused { tool: &'static str, message: String },
    /// Without serde's words: they quote what was met, which may be a secret.
    #[error("{tool} answered something that is not JSON of the expected shape")]
    Shape { tool: &'static str },
}

impl JujuError {
    /// From stderr `ERROR <message>`.
    pub(super) fn refused(tool: &'static str, output: &Output) -> Self {
        let line = output.last_line();
        Self::Refused { tool, message: line.strip_prefix("ERROR ").unwrap_or(line).to_owned() }
    }
}
