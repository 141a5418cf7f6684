//! The template, with the short forms of CloudFormation's functions written out. Every condition holds, and a resource's name is its
//! logical id.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Number, Value, json};

use crate::Alarm;

/// A deployed template.
#[derive(Debug, Clone)]
pub struct Template(Value);

/// What starts a function by the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub every: Duration,
    /// JSON.
    pub input: String,
}

impl Template {
    /// Reads a template's text.
    ///
    /// # Errors
    /// It is no YAML, or uses something of it that is not known here.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let documents = Yaml::load_from_str(text)?;
        let [document] = documents.as_slice() else { bail!("{} documents", documents.len()) };
        Ok(Self(plain(document)?))
    }

    /// Its alarms, by name.
    ///
    /// # Errors
    /// One of them uses something that is not known here.
    pub fn alarms(&self) -> anyhow::Result<Vec<Alarm>> {
        let composite = self.of_type("AWS::CloudWatch::CompositeAlarm").next();
        ensure!(composite.is_none(), "composite alarms are not known here");
        let alarms = self.of_type("AWS::CloudWatch::Alarm");
        alarms.map(|(name, properties)| Alarm::read(name, properties?).with_context(|| name.to_owned())).collect()
    }

    /// What starts a function by the clock.
    ///
    /// # Errors
    /// There is no such function, or its schedule is written in an unknown way.
    pub fn schedules(&self, function: &str) -> anyhow::Result<Vec<Schedule>> {
        let properties = self.properties(function)?;
        let events = properties.get("Events").and_then(Value::as_object).context("no events")?;
        let text = |event: &Value, key: &str| {
            let value = event.pointer(&format!("/Properties/{key}")).and_then(Value::as_str);
            value.map(str::to_owned).with_context(|| format!("no {key}"))
        };
        events
            .values()
            .map(|event| {
                ensure!(event.get("Type") == Some(&json!("Schedule")), "{event} is no schedule");
                let rate = text(event, "Schedule")?;
                let minutes =
                    rate.strip_prefix("rate(").and_then(|rate| rate.split_once(" minute")).context(rate.clone());
                let every = Duration::from_secs(minutes?.0.parse::<u64>()? * 60);
                Ok(Schedule { every, input: text(event, "Input")? })
            })
            .collect()
    }

    /// After which time Lambda ends a function.
    ///
    /// # Errors
    /// There is no such function, or it does not say so.
    pub fn timeout(&self, function: &str) -> anyhow::Result<Duration> {
        let seconds = self.properties(function)?.get("Timeout").and_then(Value::as_u64);
        Ok(Duration::from_secs(seconds.context("no Timeout")?))
    }

    /// What a parameter is, unless somebody says otherwise.
    ///
    /// # Errors
    /// There is no such parameter, or it has no default.
    pub fn default_of(&self, parameter: &str) -> anyhow::Result<&Value> {
        self.0
            .pointer(&format!("/Parameters/{parameter}/Default"))
            .with_context(|| format!("{parameter} has no default"))
    }

    fn properties(&self, resource: &str) -> anyhow::Result<Value> {
        let found = self.0.pointer(&format!("/Resources/{resource}/Properties"));
        Ok(resolved(found.with_context(|| format!("no {resource}"))?)?.unwrap_or_default())
    }

    fn of_type<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = (&'a str, anyhow::Result<Value>)> {
        let all = self.0.get("Resources").and_then(Value::as_object).into_iter().flatten();
        let of_type = all.filter(move |(_, resource)| resource.get("Type").and_then(Value::as_str) == Some(wanted));
        of_type.map(|(name, _)| (name.as_str(), self.properties(name)))
    }
}

/// With `!Name x` as `{"Fn::Name": x}`.
fn plain(node: &Yaml<'_>) -> anyhow::Result<Value> {
    Ok(match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => {
            Number::from_f64(value.into_inner()).map(Value::Number).context("no number")?
        }
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(plain).collect::<anyhow::Result<_>>()?,
        Yaml::Mapping(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                let Value::String(key) = plain(key)? else { bail!("a key that is no text") };
                Ok((key, plain(value)?))
            });
            Value::Object(entries.collect::<anyhow::Result<Map<_, _>>>()?)
        }
        Yaml::Tagged(tag, value) => {
            let name = match tag.suffix.trim_start_matches('!') {
                name @ ("Ref" | "Condition") => name.to_owned(),
                name => format!("Fn::{name}"),
            };
            json!({ name: plain(value)? })
        }
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => bail!("not known here: {node:?}"),
    })
}

/// The value as CloudFormation gives it to the service. `None`: there is none.
fn resolved(value: &Value) -> anyhow::Result<Option<Value>> {
    let object = match value {
        Value::Array(items) => {
            let items = items.iter().filter_map(|item| resolved(item).transpose());
            return Ok(Some(items.collect::<anyhow::Result<_>>()?));
        }
        Value::Object(object) => object,
        plain => return Ok(Some(plain.clone())),
    };
    let mut entries = object.iter();
    if let (Some((name, argument)), None) = (entries.next(), entries.next()) {
        match (name.as_str(), argument) {
            ("Ref", Value::String(to)) if to == "AWS::NoValue" => return Ok(None),
            ("Ref", Value::String(to)) => return Ok(Some(json!(to))),
            ("Fn::GetAtt", Value::String(to)) => {
                let (resource, _) = to.split_once('.').with_context(|| format!("GetAtt {to}"))?;
                return Ok(Some(json!(resource)));
            }
            ("Fn::If", Value::Array(choice)) => return resolved(choice.get(1).context("an If without choices")?),
            _ => {}
        }
    }
    let entries = object.iter().filter_map(|(key, value)| Some((key, resolved(value).transpose()?)));
    Ok(Some(Value::Object(entries.map(|(key, value)| Ok((key.clone(), value?))).collect::<anyhow::Result<_>>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_become_what_the_service_gets() {
        let template = Template::read(
            "Parameters: {Most: {Type: Number, Default: 10}}\nResources:\n  Worker:\n    Properties:\n      Timeout: 60\n      \
             Role: !GetAtt WorkerRole.Arn\n      Keys: [!If [HasKey, !Ref Key, !Ref AWS::NoValue], !Ref AWS::NoValue]\n      \
             Events:\n        Often: {Type: Schedule, Properties: {Schedule: rate(5 minutes), Input: '{}'}}\n",
        )
        .unwrap();
        let properties = template.properties("Worker").unwrap();
        assert_eq!((&properties["Role"], &properties["Keys"]), (&json!("WorkerRole"), &json!(["Key"])));
        assert_eq!(template.timeout("Worker").unwrap(), Duration::from_secs(60));
        assert_eq!(template.default_of("Most").unwrap(), &json!(10));
        let often = Schedule { every: Duration::from_secs(300), input: "{}".to_owned() };
        assert_eq!(template.schedules("Worker").unwrap(), [often]);
        assert!(template.timeout("Nobody").is_err());
    }
}
