//! What a hook tool said when it refused.

use crate::sys::process::{Output, ProcessError};

#[derive(Debug, thiserror::Error)]
pub enum JujuError {
    #[error("hook tool")]
    Run(#[from] ProcessError),
    #[error("{tool}: {message}")]
    Refused { tool: &'static str, message: String },
    #[error("{tool} answered something that is not JSON of the expected shape")]
    Shape { tool: &'static str, source: serde_json::Error },
}

impl JujuError {
    /// From stderr `ERROR <message>`.
    pub(super) fn refused(tool: &'static str, output: &Output) -> Self {
        let line = output.last_line();
        Self::Refused { tool, message: line.strip_prefix("ERROR ").unwrap_or(line).to_owned() }
    }
}
