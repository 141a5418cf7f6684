//! What CloudWatch would make of the figures that the functions print: the alarms of `template.yaml`, read from the template itself.
//!
//! Only what the template uses is known here. Anything else is an error, so that no alarm is taken for one that never rings.

mod alarm;
mod math;
mod samples;
mod template;
mod watch;

pub use alarm::{Alarm, State};
pub use samples::{Metric, Samples};
pub use template::{Schedule, Template};
pub use watch::{Change, Watch};
