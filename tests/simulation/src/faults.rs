//! What goes wrong.

/// All that goes wrong in a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults {}
