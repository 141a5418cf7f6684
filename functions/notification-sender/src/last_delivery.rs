//! What became of a connection's newest message, for the configuration page. Not worth a failure of its own.

use domain::connection::{Connection, DeliveryOutcome, LastDelivery};
use jiff::{SignedDuration, Timestamp};
use runtime::App;

/// A message that arrived is noted again only after so long: one more write for each message would tell nobody more.
const AS_BEFORE: SignedDuration = SignedDuration::from_mins(10);

/// Notes it, unless `last` says the same.
pub(crate) async fn note(
    app: &App,
    connection: &Connection,
    last: Option<&LastDelivery>,
    outcome: DeliveryOutcome,
    reason: Option<String>,
) {
    let delivery = LastDelivery { at: app.clock.now(), outcome, reason };
    if last.is_some_and(|last| says_the_same(last, &delivery, delivery.at)) {
        return;
    }
    if let Err(error) = app.store.put_last_delivery(&connection.key(), &delivery).await {
        tracing::warn!(error = runtime::chain(&error), "last delivery not noted");
    }
}

fn says_the_same(last: &LastDelivery, delivery: &LastDelivery, now: Timestamp) -> bool {
    let arrived = |outcome| match outcome {
        DeliveryOutcome::Posted | DeliveryOutcome::Edited | DeliveryOutcome::Replied => true,
        DeliveryOutcome::Tested | DeliveryOutcome::Refused | DeliveryOutcome::Other => false,
    };
    arrived(last.outcome) && arrived(delivery.outcome) && now.duration_since(last.at) < AS_BEFORE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_the_picture_is_written() {
        use DeliveryOutcome::{Edited, Posted, Refused, Replied, Tested};
        let at = |minute: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
        let delivery = |at, outcome| LastDelivery { at, outcome, reason: None };
        for (last, next, minutes, expected) in [
            (Posted, Edited, 9, true),
            (Replied, Posted, 0, true),
            (Posted, Posted, 10, false),
            (Refused, Posted, 0, false),
            (Posted, Refused, 0, false),
            (Refused, Refused, 0, false),
            (Tested, Posted, 0, false),
            (Posted, Tested, 0, false),
        ] {
            let same = says_the_same(&delivery(at(0), last), &delivery(at(minutes), next), at(minutes));
            assert_eq!(same, expected, "{last:?}, then {next:?}");
        }
    }
}
