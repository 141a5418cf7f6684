//! Figures for CloudWatch, in its embedded metric format: a log line that CloudWatch turns into metrics by itself, so that
//! counting costs no call and fails nothing ("Embedded metric format", Amazon CloudWatch User Guide).

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// What the metrics are found under in CloudWatch.
const NAMESPACE: &str = "PagerBridge";

/// The one dimension; Lambda's name of a function also says which stack it belongs to.
const DIMENSION: &str = "FunctionName";

/// Something that is counted or measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// A request to the webhook address, whatever came of it.
    WebhooksReceived,
    /// Answered 4xx: a stranger's.
    WebhooksRefused,
    /// Answered 503: PagerDuty sends it again.
    WebhooksFailed,
    /// The subscription is ours, the signature does not match.
    BadSignatures,
    /// Signed by PagerDuty, and not understood.
    UnreadableWebhooks,
    /// Signed by PagerDuty, from an address that is not on the operator's list; only told if there is one.
    WebhooksFromElsewhere,
    /// A channel's card was marked as possibly out of date, or a message to a channel.
    CardsMarked,
    /// A new card.
    CardsPosted,
    /// A card was brought up to date.
    CardsEdited,
    /// A reply in a card's thread.
    RepliesPosted,
    /// Nothing was left to do for it: what was done for another mark had shown it already.
    MarksCoalesced,
    /// Teams will never take this card: a smaller one is tried.
    CardsRefused,
    /// Teams takes the smaller one neither: nothing more is tried until the incident changes or somebody asks for it.
    CardsParked,
    /// A channel's incidents become rows of one card from now on.
    StormsBegun,
    /// Teams asked to wait.
    DeliveriesThrottled,
    /// A delivery that has to be tried again.
    DeliveriesRetried,
    /// A post was repeated although the first try may have arrived.
    DoubtfulPosts,
    /// A channel that the bot cannot reach any more.
    ChannelsLost,
    /// Milliseconds between the webhook's arrival and Teams' taking the card.
    WebhookToCard,
    /// Somebody acted on an incident from Teams.
    ActionsTaken,
    /// Seconds for which the oldest thing that does not wait for its own next try has been unfinished. Lost channels are not counted:
    /// they have [`Metric::ChannelsLost`].
    OldestUnfinished,
    /// How much is unfinished, whatever it waits for.
    Unfinished,
    /// How much of it is tried no more until somebody marks it again.
    Parked,
    /// A linked person's token could not be refreshed.
    TokenRefreshFailures,
    /// A linked person has to link again since PagerDuty's answer to a refresh was lost.
    LogInsLost,
    /// PagerDuty's or Entra's token for the app itself could not be had.
    AppTokenFailures,
    /// A run of the reconciler has begun.
    ReconcilerStarted,
    /// A run of the reconciler that ended well, short or full.
    ReconcilerRuns,
    /// One that left something for the next one, or skipped what it could not read.
    ReconcilerPartial,
    /// One that another run kept from working.
    ReconcilerSkipped,
    /// One of which a part could not be done.
    ReconcilerFailures,
    /// Seconds for which the part of the reconciler has not healed that has not for the longest time; 0: all do.
    NotHealing,
    /// A single incident, service or the like that the reconciler could not bring up to date and went past.
    ElementsSkipped,
    /// A page, or a request of Teams, was answered 5xx by the function itself.
    RequestsFailed,
    /// `/health` was answered 503, whatever is wrong.
    HealthChecksFailed,
    /// A webhook subscription was found disabled.
    SubscriptionsDisabled,
    /// A webhook subscription was switched on again, or made anew.
    SubscriptionsReenabled,
    /// A webhook subscription that nobody needs was deleted.
    SubscriptionsRemoved,
    /// PagerDuty knew something about an incident that we did not.
    IncidentsMerged,
}

impl Metric {
    /// As CloudWatch knows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WebhooksReceived => "WebhooksReceived",
            Self::WebhooksRefused => "WebhooksRefused",
            Self::WebhooksFailed => "WebhooksFailed",
            Self::BadSignatures => "BadSignatures",
            Self::UnreadableWebhooks => "UnreadableWebhooks",
            Self::WebhooksFromElsewhere => "WebhooksFromElsewhere",
            Self::CardsMarked => "CardsMarked",
            Self::CardsPosted => "CardsPosted",
            Self::CardsEdited => "CardsEdited",
            Self::RepliesPosted => "RepliesPosted",
            Self::MarksCoalesced => "MarksCoalesced",
            Self::CardsRefused => "CardsRefused",
            Self::CardsParked => "CardsParked",
            Self::StormsBegun => "StormsBegun",
            Self::DeliveriesThrottled => "DeliveriesThrottled",
            Self::DeliveriesRetried => "DeliveriesRetried",
            Self::OldestUnfinished => "OldestUnfinished",
            Self::Unfinished => "Unfinished",
            Self::Parked => "Parked",
            Self::DoubtfulPosts => "DoubtfulPosts",
            Self::ChannelsLost => "ChannelsLost",
            Self::WebhookToCard => "WebhookToCard",
            Self::ActionsTaken => "ActionsTaken",
            Self::TokenRefreshFailures => "TokenRefreshFailures",
            Self::LogInsLost => "LogInsLost",
            Self::AppTokenFailures => "AppTokenFailures",
            Self::ReconcilerStarted => "ReconcilerStarted",
            Self::ReconcilerRuns => "ReconcilerRuns",
            Self::ReconcilerPartial => "ReconcilerPartial",
            Self::ReconcilerSkipped => "ReconcilerSkipped",
            Self::NotHealing => "NotHealing",
            Self::ElementsSkipped => "ElementsSkipped",
            Self::ReconcilerFailures => "ReconcilerFailures",
            Self::RequestsFailed => "RequestsFailed",
            Self::HealthChecksFailed => "HealthChecksFailed",
            Self::SubscriptionsDisabled => "SubscriptionsDisabled",
            Self::SubscriptionsReenabled => "SubscriptionsReenabled",
            Self::SubscriptionsRemoved => "SubscriptionsRemoved",
            Self::IncidentsMerged => "IncidentsMerged",
        }
    }

    /// So often, for [`Metrics::emit`].
    #[must_use]
    pub fn times(self, count: usize) -> (Self, f64) {
        (self, f64::from(u32::try_from(count).unwrap_or(u32::MAX)))
    }

    fn unit(self) -> &'static str {
        match self {
            Self::WebhookToCard => "Milliseconds",
            Self::OldestUnfinished | Self::NotHealing => "Seconds",
            _ => "Count",
        }
    }
}

/// Writes metrics for CloudWatch where the process runs in Lambda, and keeps their sums for whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    written: Option<Written>,
    sums: Arc<Mutex<BTreeMap<Metric, f64>>>,
}

/// Under which name metrics are written, and where.
#[derive(Clone)]
struct Written {
    function: String,
    write: Arc<dyn Fn(&Value) + Send + Sync>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written").field("function", &self.function).finish_non_exhaustive()
    }
}

/// Where CloudWatch reads what a function prints.
fn print(line: &Value) {
    // Whoever reads the logs misses a line if standard output is closed; nothing else does.
    let _not_written = writeln!(std::io::stdout().lock(), "{line}");
}

impl Metrics {
    /// `function`: Lambda's name of this function; without one nothing is written.
    #[must_use]
    pub fn new(function: Option<String>) -> Self {
        Self { written: function.map(|function| Written { function, write: Arc::new(print) }), sums: Arc::default() }
    }

    /// The same for a function whose lines somebody else than CloudWatch reads.
    #[must_use]
    pub fn read_by(function: String, write: impl Fn(&Value) + Send + Sync + 'static) -> Self {
        Self { written: Some(Written { function, write: Arc::new(write) }), sums: Arc::default() }
    }

    /// Counts one.
    pub fn count(&self, metric: Metric, now: Timestamp) {
        self.emit(&[metric.times(1)], now);
    }

    /// Notes several at once, in one line. Each may appear once; zeros are noted too, so that a sum is known to be zero.
    pub fn emit(&self, samples: &[(Metric, f64)], now: Timestamp) {
        if samples.is_empty() {
            return;
        }
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        for (metric, value) in samples {
            *sums.entry(*metric).or_default() += value;
        }
        drop(sums);
        if let Some(Written { function, write }) = &self.written {
            write(&line(function, samples, now));
        }
    }

    /// The sum of a metric since the process began.
    #[must_use]
    pub fn sum(&self, metric: Metric) -> f64 {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner).get(&metric).copied().unwrap_or_default()
    }
}

fn line(function: &str, samples: &[(Metric, f64)], now: Timestamp) -> Value {
    let defined: Vec<Value> =
        samples.iter().map(|(metric, _)| json!({ "Name": metric.name(), "Unit": metric.unit() })).collect();
    let mut document = Map::new();
    document.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": now.as_millisecond(),
            "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": defined }],
        }),
    );
    document.insert(DIMENSION.to_owned(), json!(function));
    document.extend(samples.iter().map(|(metric, value)| (metric.name().to_owned(), json!(value))));
    Value::Object(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_expects() {
        let now = Timestamp::from_millisecond(1_795_424_400_123).unwrap();
        let samples = [(Metric::CardsPosted, 1.0), (Metric::WebhookToCard, 812.5)];
        let expected = json!({
            "_aws": {
                "Timestamp": 1_795_424_400_123_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "PagerBridge",
                    "Dimensions": [["FunctionName"]],
                    "Metrics": [
                        { "Name": "CardsPosted", "Unit": "Count" },
                        { "Name": "WebhookToCard", "Unit": "Milliseconds" },
                    ],
                }],
            },
            "FunctionName": "stack-sender",
            "CardsPosted": 1.0,
            "WebhookToCard": 812.5,
        });
        assert_eq!(line("stack-sender", &samples, now), expected);
    }

    #[test]
    fn every_clone_writes_to_whoever_reads() {
        let read = Arc::<Mutex<Vec<Value>>>::default();
        let reader = Arc::clone(&read);
        let metrics =
            Metrics::read_by("stack-sender".to_owned(), move |line| reader.lock().unwrap().push(line.clone()));
        metrics.clone().count(Metric::CardsPosted, Timestamp::UNIX_EPOCH);
        metrics.count(Metric::CardsPosted, Timestamp::UNIX_EPOCH);
        let expected = line("stack-sender", &[(Metric::CardsPosted, 1.0)], Timestamp::UNIX_EPOCH);
        assert_eq!(*read.lock().unwrap(), vec![expected; 2]);
    }

    #[test]
    fn sums_are_shared_by_clones() {
        let metrics = Metrics::new(None);
        let clone = metrics.clone();
        clone.count(Metric::CardsPosted, Timestamp::UNIX_EPOCH);
        metrics.emit(&[(Metric::CardsPosted, 2.0), (Metric::CardsEdited, 0.0)], Timestamp::UNIX_EPOCH);
        assert_eq!((clone.sum(Metric::CardsPosted), clone.sum(Metric::CardsEdited)), (3.0, 0.0));
    }
}
