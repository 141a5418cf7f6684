//! PagerDuty as seen from outside.
