//! What was asked of the outside and may not have answered.

/// An answer from outside, or why there is none. Unknown refuses with its why;
/// it is never turned into a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed<T> {
    Known(T),
    Unknown { why: String },
}

impl<T> Observed<T> {
    pub fn unknown(why: impl ToString) -> Self {
        Self::Unknown { why: why.to_string() }
    }

    /// An adapter's answer; its error becomes the why, with its whole chain.
    pub fn from_result<E: std::error::Error>(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::Unknown { why: super::error_chain(&error) },
        }
    }

    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown { .. } => None,
        }
    }
}
