//! PagerDuty's faults.
