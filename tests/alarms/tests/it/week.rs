//! Quiet weeks.
