//! Teams' faults.
