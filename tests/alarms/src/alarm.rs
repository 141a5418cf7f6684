//! An alarm, and when it rings ("Alarm evaluation", Amazon CloudWatch User Guide).
//!
//! CloudWatch looks every minute. A period is counted back from that minute, so that one of five minutes begins anew with each look.
//! It looks at more periods than the alarm needs, for the case that some of them are empty.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::math::{Expression, Series};
use crate::samples::{Bucket, MINUTE, Metric, Samples};

/// How many periods more than an alarm needs are looked at. CloudWatch's guide has three and five.
const BESIDE: usize = 2;

/// CloudWatch takes no more for an alarm.
const MOST_METRICS: usize = 10;

/// An alarm's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ok,
    Alarm,
}

/// An alarm of the template.
#[derive(Debug, Clone)]
pub struct Alarm {
    pub name: String,
    value: Expression,
    metrics: BTreeMap<String, (Metric, Statistic)>,
    period: i64,
    periods: usize,
    breaching: usize,
    threshold: f64,
    comparison: Comparison,
    missing: Missing,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Statistic {
    Sum,
    Maximum,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Comparison {
    #[serde(rename = "GreaterThanThreshold")]
    Greater,
    #[serde(rename = "GreaterThanOrEqualToThreshold")]
    GreaterOrEqual,
    #[serde(rename = "LessThanThreshold")]
    Less,
}

/// What a period counts as of which nothing was told.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Missing {
    Breaching,
    NotBreaching,
    Ignore,
}

/// Everything that an alarm of the template has.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Properties {
    #[serde(rename = "AlarmDescription")]
    _description: String,
    #[serde(rename = "AlarmActions")]
    _alarm_actions: Value,
    #[serde(rename = "OKActions")]
    _ok_actions: Value,
    /// Of an alarm on a single metric.
    namespace: Option<String>,
    metric_name: Option<String>,
    dimensions: Option<Vec<Dimension>>,
    period: Option<i64>,
    statistic: Option<Statistic>,
    /// Of one on an expression.
    metrics: Option<Vec<Query>>,
    evaluation_periods: usize,
    datapoints_to_alarm: usize,
    threshold: f64,
    comparison_operator: Comparison,
    treat_missing_data: Missing,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Dimension {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Query {
    id: String,
    #[serde(rename = "Label")]
    _label: Option<String>,
    return_data: bool,
    expression: Option<String>,
    metric_stat: Option<MetricStat>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct MetricStat {
    metric: Named,
    period: i64,
    stat: Statistic,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Named {
    namespace: String,
    metric_name: String,
    dimensions: Vec<Dimension>,
}

impl Named {
    fn metric(self) -> Metric {
        let dimensions = self.dimensions.into_iter().map(|one| (one.name, one.value)).collect();
        Metric { namespace: self.namespace, name: self.metric_name, dimensions }
    }
}

/// The id of the one metric of an alarm without an expression.
const ONLY: &str = "only";

impl Alarm {
    /// Reads an alarm as CloudFormation gives it to CloudWatch.
    pub(crate) fn read(name: &str, properties: Value) -> anyhow::Result<Self> {
        let read: Properties = serde_json::from_value(properties)?;
        let (value, metrics, period) = match (read.metrics, read.metric_name) {
            (None, Some(metric_name)) => {
                let (namespace, dimensions) =
                    (read.namespace.context("no Namespace")?, read.dimensions.unwrap_or_default());
                let metric = Named { namespace, metric_name, dimensions }.metric();
                let metrics = BTreeMap::from([(ONLY.to_owned(), (metric, read.statistic.context("no Statistic")?))]);
                (Expression::Id(ONLY.to_owned()), metrics, read.period.context("no Period")?)
            }
            (Some(queries), None) => of_queries(queries)?,
            _ => bail!("an alarm is on a metric or on an expression"),
        };
        ensure!(period > 0 && period % MINUTE == 0, "a Period of {period} s is not known here");
        ensure!(
            metrics.len() <= MOST_METRICS,
            "CloudWatch takes {MOST_METRICS} metrics for an alarm, not {}",
            metrics.len()
        );
        ensure!((1..=read.evaluation_periods).contains(&read.datapoints_to_alarm), "more datapoints than periods");
        let alarm = Self {
            name: name.to_owned(),
            value,
            metrics,
            period,
            periods: read.evaluation_periods,
            breaching: read.datapoints_to_alarm,
            threshold: read.threshold,
            comparison: read.comparison_operator,
            missing: read.treat_missing_data,
        };
        // Whatever in it is not known here is told now, and not when somebody looks.
        alarm.state(State::Ok, &Samples::default(), Timestamp::UNIX_EPOCH)?;
        Ok(alarm)
    }

    /// Its state at a full minute, after it has been in `before`.
    ///
    /// # Errors
    /// Its expression uses something that is not known here.
    pub fn state(&self, before: State, samples: &Samples, now: Timestamp) -> anyhow::Result<State> {
        let series = self.series(samples, now.as_second().div_euclid(MINUTE) * MINUTE)?;
        let told: Vec<bool> =
            series.iter().rev().flatten().map(|value| self.breaches(*value)).take(self.periods).collect();
        let (breaching, missing) = (told.iter().filter(|breaches| **breaches).count(), self.periods - told.len());
        let rings = |breaching: usize| if breaching >= self.breaching { State::Alarm } else { State::Ok };
        Ok(match self.missing {
            Missing::Breaching => rings(breaching + missing),
            // Only bad news, too little of it: nobody knows.
            Missing::Ignore if missing > 0 && breaching == told.len() && breaching < self.breaching => before,
            Missing::NotBreaching | Missing::Ignore => rings(breaching),
        })
    }

    /// The value of each period that is looked at, the oldest first.
    fn series(&self, samples: &Samples, until: i64) -> anyhow::Result<Series> {
        let looked_at = self.periods + BESIDE;
        let ends: Vec<i64> =
            (0..looked_at).rev().filter_map(|back| Some(until - self.period * i64::try_from(back).ok()?)).collect();
        let metrics = self.metrics.iter().map(|(id, (metric, statistic))| {
            let value = |end: &i64| Some(statistic.of(samples.between(metric, end - self.period, *end)?));
            (id.clone(), ends.iter().map(value).collect())
        });
        self.value.evaluate(&metrics.collect(), looked_at)
    }

    fn breaches(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Greater => value > self.threshold,
            Comparison::GreaterOrEqual => value >= self.threshold,
            Comparison::Less => value < self.threshold,
        }
    }
}

type OfQueries = (Expression, BTreeMap<String, (Metric, Statistic)>, i64);

fn of_queries(queries: Vec<Query>) -> anyhow::Result<OfQueries> {
    let (mut value, mut metrics, mut periods) = (None, BTreeMap::new(), Vec::new());
    for Query { id, expression, metric_stat, return_data, .. } in queries {
        match (expression, metric_stat, return_data) {
            (Some(expression), None, true) if value.is_none() => value = Some(Expression::parse(&expression)?),
            (None, Some(MetricStat { metric, period, stat }), false) => {
                periods.push(period);
                ensure!(metrics.insert(id.clone(), (metric.metric(), stat)).is_none(), "two metrics are called {id}");
            }
            _ => bail!("{id}: one expression is returned, of metrics that are not"),
        }
    }
    periods.dedup();
    let &[period] = periods.as_slice() else { bail!("one Period for all metrics, and not {periods:?}") };
    Ok((value.context("no expression is returned")?, metrics, period))
}

impl Statistic {
    fn of(self, bucket: Bucket) -> f64 {
        match self {
            Self::Sum => bucket.sum,
            Self::Maximum => bucket.most,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hits() -> Metric {
        Metric::of("N", "Hits", "Who", "me")
    }

    fn properties(periods: usize, datapoints: usize, missing: &str) -> Value {
        json!({
            "AlarmDescription": "", "AlarmActions": [], "OKActions": [],
            "Namespace": "N", "MetricName": "Hits", "Dimensions": [{ "Name": "Who", "Value": "me" }],
            "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": periods, "DatapointsToAlarm": datapoints,
            "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": missing,
        })
    }

    /// A period for each character: `0`, `X` (breaching) or `-` (nothing told). The newest one ends now.
    fn told(periods: &str) -> (Samples, Timestamp) {
        let mut samples = Samples::default();
        for (minute, told) in periods.chars().enumerate() {
            let at = Timestamp::from_second(60 * i64::try_from(minute).unwrap() + 30).unwrap();
            match told {
                '0' => samples.add(hits(), at, 0.0),
                'X' => samples.add(hits(), at, 1.0),
                _ => {}
            }
        }
        (samples, Timestamp::from_second(60 * i64::try_from(periods.len()).unwrap()).unwrap())
    }

    /// The tables of CloudWatch's guide, for three of three and two of three.
    #[test]
    fn missing_data_counts_as_the_guide_says() {
        use State::{Alarm as A, Ok as O};
        // Three columns: ignore after `Ok` and after `Alarm`, breaching, not breaching.
        for (periods, datapoints, expected) in [
            ("0-X-X", 3, [O, O, O, O]),
            ("0----", 3, [O, O, O, O]),
            ("----0", 3, [O, O, O, O]),
            ("-----", 3, [O, A, A, O]),
            ("0XX-X", 3, [A, A, A, A]),
            ("--X--", 3, [O, A, A, O]),
            ("0-X-X", 2, [A, A, A, A]),
            ("00X0X", 2, [A, A, A, A]),
            ("0-X--", 2, [O, O, A, O]),
            ("----0", 2, [O, O, A, O]),
            ("----X", 2, [O, A, A, O]),
        ] {
            let (samples, now) = told(periods);
            let state = |missing: &str, before: State| {
                let alarm = Alarm::read("it", properties(3, datapoints, missing)).unwrap();
                alarm.state(before, &samples, now).unwrap()
            };
            let found = [state("ignore", O), state("ignore", A), state("breaching", O), state("notBreaching", O)];
            assert_eq!(found, expected, "{periods}, {datapoints} of 3");
        }
    }

    #[test]
    fn it_rings_from_threshold_to_threshold() {
        for (comparison, value, rings) in [
            ("GreaterThanThreshold", 5.0, false),
            ("GreaterThanThreshold", 5.1, true),
            ("GreaterThanOrEqualToThreshold", 5.0, true),
            ("LessThanThreshold", 5.0, false),
            ("LessThanThreshold", 4.9, true),
        ] {
            let mut properties = properties(1, 1, "notBreaching");
            properties["Threshold"] = json!(5);
            properties["ComparisonOperator"] = json!(comparison);
            let alarm = Alarm::read("it", properties).unwrap();
            let mut samples = Samples::default();
            samples.add(hits(), Timestamp::from_second(10).unwrap(), value);
            let state = alarm.state(State::Ok, &samples, Timestamp::from_second(60).unwrap()).unwrap();
            assert_eq!(state == State::Alarm, rings, "{comparison} {value}");
        }
    }

    /// A sum of five minutes is one of the last five, and not of those since a full hour.
    #[test]
    fn periods_are_counted_back_from_now() {
        let mut properties = properties(1, 1, "notBreaching");
        (properties["Period"], properties["Statistic"]) = (json!(300), json!("Sum"));
        properties["Threshold"] = json!(1);
        let alarm = Alarm::read("it", properties).unwrap();
        let (samples, _) = told("0000X0X000000000");
        let rings: Vec<i64> = (1..16)
            .filter(|minute| {
                let now = Timestamp::from_second(minute * 60).unwrap();
                alarm.state(State::Ok, &samples, now).unwrap() == State::Alarm
            })
            .collect();
        assert_eq!(rings, [7, 8, 9]);
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        let change = |key: &str, value: Value| {
            let mut properties = properties(1, 1, "ignore");
            properties[key] = value;
            Alarm::read("it", properties).map(|_| ()).unwrap_err().to_string()
        };
        assert!(change("ExtendedStatistic", json!("p99")).contains("ExtendedStatistic"));
        assert!(change("TreatMissingData", json!("missing")).contains("missing"));
        assert!(change("Statistic", json!("Average")).contains("Average"));
        assert!(change("Statistic", json!("SampleCount")).contains("SampleCount"));
        assert!(change("Period", json!(10)).contains("10 s"));
        assert!(change("DatapointsToAlarm", json!(2)).contains("more datapoints"));
        assert!(change("Metrics", json!([])).contains("on a metric or on an expression"));
    }
}
