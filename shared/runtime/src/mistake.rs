//! What can be wrong with an environment variable.

/// One thing that is wrong with the environment. It names the variable and never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// A required variable is missing or empty.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable's value cannot be used.
    #[error("{name} is not {expected}")]
    Malformed { name: &'static str, expected: &'static str },
    /// One entry of a list cannot be used; the first is 1.
    #[error("entry {number} of {name} is not {expected}")]
    Entry { name: &'static str, number: usize, expected: &'static str },
}
