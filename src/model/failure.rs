//! Whose move it is when something did not work.

use std::error::Error;

/// Boxed source of a fault.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The kind of error says whose move it is: the user's, the world's, ours.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The user's move: fails the action, never the hook. `hint` is the
    /// sentence that helps, with the command to type where there is one.
    #[error("{message}")]
    Refused { message: String, hint: String },
    /// The world's: may heal by itself.
    #[error("{doing}")]
    Fault { doing: String, source: BoxError },
    /// Ours: must never be dressed up as a refusal.
    #[error("internal error: {0}")]
    Bug(String),
}

impl AgentError {
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { message: message.into(), hint: hint.into() }
    }

    pub fn fault(doing: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Fault { doing: doing.into(), source: source.into() }
    }

    /// One text for a person: the whole chain of causes, then the hint.
    pub fn explain(&self) -> String {
        match self {
            Self::Refused { message, hint } if hint.is_empty() => message.clone(),
            Self::Refused { message, hint } => format!("{}. {hint}", message.trim_end_matches('.')),
            other => error_chain(other),
        }
    }
}

/// The one function that prints chains: `doing: cause: deeper cause`.
/// A source whose text the outer error already ends with is not repeated.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let deeper = source.to_string();
        if !text.ends_with(&deeper) {
            text.push_str(": ");
            text.push_str(&deeper);
        }
        next = source.source();
    }
    text
}
