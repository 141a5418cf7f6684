//! What CloudWatch keeps of metrics: for each minute and metric the sum and the highest value.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The finest resolution that the alarms look at.
pub(crate) const MINUTE: i64 = 60;

/// A metric of a thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metric {
    pub namespace: String,
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
}

impl Metric {
    /// One with a single dimension.
    #[must_use]
    pub fn of(namespace: &str, name: &str, dimension: &str, value: &str) -> Self {
        let dimensions = BTreeMap::from([(dimension.to_owned(), value.to_owned())]);
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
    }
}

/// What is known of a metric in some time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) sum: f64,
    pub(crate) most: f64,
}

impl Bucket {
    fn of(value: f64) -> Self {
        Self { sum: value, most: value }
    }

    fn and(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, most: self.most.max(other.most) }
    }
}

/// All metrics of an account.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    minutes: BTreeMap<Metric, BTreeMap<i64, Bucket>>,
    units: BTreeMap<Metric, String>,
}

/// The part of a line that says what in it is a metric ("Embedded metric format", Amazon CloudWatch User Guide).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Embedded {
    timestamp: i64,
    cloud_watch_metrics: Vec<Directive>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Directive {
    namespace: String,
    dimensions: Vec<Vec<String>>,
    metrics: Vec<Definition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Definition {
    name: String,
    unit: String,
}

impl Samples {
    /// Notes a sample.
    pub fn add(&mut self, metric: Metric, at: Timestamp, value: f64) {
        let minute = at.as_second().div_euclid(MINUTE);
        let minutes = self.minutes.entry(metric).or_default();
        minutes.entry(minute).and_modify(|known| *known = known.and(Bucket::of(value))).or_insert(Bucket::of(value));
    }

    /// Notes what a function has printed.
    ///
    /// # Errors
    /// CloudWatch would not take it for metrics.
    pub fn add_line(&mut self, line: &Value) -> anyhow::Result<()> {
        let fields = line.as_object().context("no object")?;
        let embedded = Embedded::deserialize(fields.get("_aws").context("no _aws")?)?;
        let at = Timestamp::from_millisecond(embedded.timestamp)?;
        for Directive { namespace, dimensions, metrics } in embedded.cloud_watch_metrics {
            ensure!(!dimensions.is_empty() && !metrics.is_empty(), "a directive for nothing");
            for set in dimensions {
                let dimensions = set.into_iter().map(|name| {
                    let value = text(fields, &name)?;
                    Ok((name, value))
                });
                let dimensions = dimensions.collect::<anyhow::Result<BTreeMap<_, _>>>()?;
                for Definition { name, unit } in &metrics {
                    let value =
                        fields.get(name).and_then(Value::as_f64).with_context(|| format!("{name} is no number"))?;
                    let metric =
                        Metric { namespace: namespace.clone(), name: name.clone(), dimensions: dimensions.clone() };
                    let before = self.units.entry(metric.clone()).or_insert_with(|| unit.clone());
                    ensure!(before == unit, "{name} is in {before} and in {unit}");
                    self.add(metric, at, value);
                }
            }
        }
        Ok(())
    }

    /// What is known from `from` up to `until`, in seconds since 1970 and whole minutes.
    pub(crate) fn between(&self, metric: &Metric, from: i64, until: i64) -> Option<Bucket> {
        let minutes = self.minutes.get(metric)?.range(from.div_euclid(MINUTE)..until.div_euclid(MINUTE));
        minutes.map(|(_, bucket)| *bucket).reduce(Bucket::and)
    }

    /// The sum of a metric over all time.
    #[must_use]
    pub fn sum(&self, metric: &Metric) -> f64 {
        self.between(metric, i64::MIN, i64::MAX).map_or(0.0, |all| all.sum)
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> anyhow::Result<String> {
    Ok(fields.get(name).and_then(Value::as_str).with_context(|| format!("{name} is no text"))?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(name: &str, unit: &str) -> Value {
        let metrics = [json!({ "Name": name, "Unit": unit })];
        let directive = json!({ "Namespace": "N", "Dimensions": [["Who"]], "Metrics": metrics });
        json!({ "_aws": { "Timestamp": 61_500, "CloudWatchMetrics": [directive] }, "Who": "me", "Hits": 2.0 })
    }

    #[test]
    fn a_line_becomes_samples_of_its_minute() {
        let mut samples = Samples::default();
        samples.add_line(&line("Hits", "Count")).unwrap();
        let hits = Metric::of("N", "Hits", "Who", "me");
        samples.add(hits.clone(), Timestamp::from_second(119).unwrap(), 5.0);
        let bucket = samples.between(&hits, 60, 120).unwrap();
        assert_eq!(bucket, Bucket { sum: 7.0, most: 5.0 });
        assert_eq!((samples.between(&hits, 0, 60), samples.between(&hits, 120, 180)), (None, None));
        assert_eq!(samples.sum(&hits), 7.0);
    }

    #[test]
    fn what_cloudwatch_would_not_take_is_an_error() {
        let mut samples = Samples::default();
        samples.add_line(&line("Hits", "Count")).unwrap();
        for (line, why) in [
            (line("Hits", "Seconds"), "in Count and in Seconds"),
            (line("Misses", "Count"), "is no number"),
            (json!({ "Hits": 1 }), "no _aws"),
        ] {
            let error = samples.add_line(&line).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
