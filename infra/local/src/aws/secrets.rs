//! Secrets Manager: versions with staging labels, as far as the product and its tests call it.
//!
//! `AWSCURRENT` is on exactly one version; when it moves, the version that loses it becomes `AWSPREVIOUS`. A version without a
//! label is deprecated, which here means gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::sqs::message::uuid_of;
use super::{Now, answer};

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// The service.
pub(super) struct SecretsManager {
    secrets: Saved<Secrets>,
    now: Now,
}

#[derive(Default, Serialize, Deserialize)]
struct Secrets(BTreeMap<String, Secret>);

#[derive(Serialize, Deserialize)]
struct Secret {
    arn: String,
    description: Option<String>,
    created_at: Timestamp,
    changed_at: Timestamp,
    versions: BTreeMap<String, Version>,
}

#[derive(Serialize, Deserialize)]
struct Version {
    content: Content,
    created_at: Timestamp,
    stages: BTreeSet<String>,
}

/// No `Debug`: it must not end up in a log.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
enum Content {
    Text(String),
    /// As on the wire: base64.
    Binary(String),
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("Secrets Manager can't find the specified secret.")]
    NoSecret,
    #[error("Secrets Manager can't find the specified secret value for {0}.")]
    NoVersion(String),
    #[error("The operation failed because the secret {0} already exists.")]
    Exists(String),
    #[error("A version with this token already exists and has another value.")]
    VersionExists,
    #[error("You must provide either SecretString or SecretBinary, and only one of them.")]
    Content,
    #[error("The request cannot be read: not JSON, or a member that this stand-in does not know.")]
    Unreadable,
    #[error("This stand-in does not offer {0}.")]
    Operation(String),
}

impl Refusal {
    fn shape(&self) -> &'static str {
        match self {
            Self::NoSecret | Self::NoVersion(_) => "ResourceNotFoundException",
            Self::Exists(_) | Self::VersionExists => "ResourceExistsException",
            Self::Content => "InvalidParameterException",
            Self::Unreadable => "SerializationException",
            Self::Operation(_) => "InvalidRequestException",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct CreateSecret {
    name: String,
    description: Option<String>,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PutSecretValue {
    secret_id: String,
    client_request_token: Option<String>,
    secret_string: Option<String>,
    secret_binary: Option<String>,
    version_stages: Option<BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetSecretValue {
    secret_id: String,
    version_id: Option<String>,
    version_stage: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DescribeSecret {
    secret_id: String,
}

impl SecretsManager {
    pub(super) fn open(folder: Option<&Path>, now: Now) -> anyhow::Result<Self> {
        Ok(Self { secrets: Saved::open(folder, "secrets.json")?, now })
    }

    pub(super) fn answer(&self, operation: &str, body: &[u8]) -> Response {
        let now = (self.now)();
        let result = self.secrets.change(|secrets| match operation {
            "CreateSecret" => secrets.create(parse(body)?, now),
            "PutSecretValue" => secrets.put(parse(body)?, now),
            "GetSecretValue" => secrets.value(&parse(body)?),
            "DescribeSecret" => secrets.describe(&parse(body)?),
            other => Err(Refusal::Operation(other.to_owned())),
        });
        match result {
            Ok(body) => answer::success(answer::JSON_1_1, &body),
            Err(refusal) => answer::error(answer::JSON_1_1, 400, refusal.shape(), &refusal.to_string()),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::Unreadable)
}

impl Secrets {
    fn create(&mut self, request: CreateSecret, now: Timestamp) -> Result<Value, Refusal> {
        let content = content(request.secret_string, request.secret_binary)?;
        let id = request.client_request_token.unwrap_or_else(|| uuid_of(&request.name));
        if let Some(secret) = self.0.get(&request.name) {
            let same = secret.versions.get(&id).is_some_and(|version| version.content == content);
            return if same { Ok(secret.answer(&request.name, &id)) } else { Err(Refusal::Exists(request.name)) };
        }
        let suffix: String = uuid_of(&request.name).chars().take(6).collect();
        let mut secret = Secret {
            arn: format!("arn:aws:secretsmanager:us-east-1:000000000000:secret:{}-{suffix}", request.name),
            description: request.description,
            created_at: now,
            changed_at: now,
            versions: BTreeMap::new(),
        };
        secret.add(id.clone(), content, &BTreeSet::from([CURRENT.to_owned()]), now);
        let answer = secret.answer(&request.name, &id);
        self.0.insert(request.name, secret);
        Ok(answer)
    }

    fn put(&mut self, request: PutSecretValue, now: Timestamp) -> Result<Value, Refusal> {
        let content = content(request.secret_string, request.secret_binary)?;
        let (name, secret) = self.find_mut(&request.secret_id)?;
        let id = request.client_request_token.unwrap_or_else(|| uuid_of(&format!("{name}/{now}")));
        let stages = request.version_stages.unwrap_or_else(|| BTreeSet::from([CURRENT.to_owned()]));
        match secret.versions.get(&id) {
            Some(version) if version.content != content => return Err(Refusal::VersionExists),
            Some(_) => {}
            None => secret.add(id.clone(), content, &stages, now),
        }
        Ok(secret.answer(name, &id))
    }

    fn value(&self, request: &GetSecretValue) -> Result<Value, Refusal> {
        let (name, secret) = self.find(&request.secret_id)?;
        let stage = request.version_stage.as_deref();
        let found = match &request.version_id {
            Some(id) => secret
                .versions
                .get_key_value(id)
                .filter(|(_, version)| stage.is_none_or(|stage| version.stages.contains(stage))),
            None => secret.versions.iter().find(|(_, version)| version.stages.contains(stage.unwrap_or(CURRENT))),
        };
        let missing = || match &request.version_id {
            Some(id) => format!("VersionId: {id}"),
            None => format!("staging label: {}", stage.unwrap_or(CURRENT)),
        };
        let (id, version) = found.ok_or_else(|| Refusal::NoVersion(missing()))?;
        let (member, content) = match &version.content {
            Content::Text(text) => ("SecretString", text),
            Content::Binary(base64) => ("SecretBinary", base64),
        };
        Ok(json!({
            "ARN": secret.arn,
            "Name": name,
            "VersionId": id,
            "VersionStages": version.stages,
            "CreatedDate": seconds(version.created_at),
            member: content,
        }))
    }

    fn describe(&self, request: &DescribeSecret) -> Result<Value, Refusal> {
        let (name, secret) = self.find(&request.secret_id)?;
        let stages: BTreeMap<_, _> = secret.versions.iter().map(|(id, version)| (id, &version.stages)).collect();
        Ok(json!({
            "ARN": secret.arn,
            "Name": name,
            "Description": secret.description,
            "CreatedDate": seconds(secret.created_at),
            "LastChangedDate": seconds(secret.changed_at),
            "VersionIdsToStages": stages,
        }))
    }

    /// By name, or by resource name with or without the six characters at its end.
    fn find(&self, id: &str) -> Result<(&str, &Secret), Refusal> {
        let names = |name: &str, secret: &Secret| {
            name == id || secret.arn == id || secret.arn.rsplit_once('-').is_some_and(|(partial, _)| partial == id)
        };
        let found = self.0.iter().find(|(name, secret)| names(name, secret));
        found.map(|(name, secret)| (name.as_str(), secret)).ok_or(Refusal::NoSecret)
    }

    fn find_mut(&mut self, id: &str) -> Result<(&str, &mut Secret), Refusal> {
        let name = self.find(id)?.0.to_owned();
        let found = self.0.iter_mut().find(|(key, _)| **key == name);
        found.map(|(name, secret)| (name.as_str(), secret)).ok_or(Refusal::NoSecret)
    }
}

impl Secret {
    /// Adds a version and moves the labels to it.
    fn add(&mut self, id: String, content: Content, stages: &BTreeSet<String>, now: Timestamp) {
        if stages.contains(CURRENT) {
            for version in self.versions.values_mut() {
                version.stages.remove(PREVIOUS);
                if version.stages.contains(CURRENT) {
                    version.stages.insert(PREVIOUS.to_owned());
                }
            }
        }
        for version in self.versions.values_mut() {
            version.stages.retain(|stage| !stages.contains(stage));
        }
        self.versions.retain(|_, version| !version.stages.is_empty());
        self.versions.insert(id, Version { content, created_at: now, stages: stages.clone() });
        self.changed_at = now;
    }

    fn answer(&self, name: &str, version: &str) -> Value {
        let stages = self.versions.get(version).map(|version| &version.stages);
        json!({ "ARN": self.arn, "Name": name, "VersionId": version, "VersionStages": stages })
    }
}

fn content(text: Option<String>, binary: Option<String>) -> Result<Content, Refusal> {
    match (text, binary) {
        (Some(text), None) => Ok(Content::Text(text)),
        (None, Some(base64)) => Ok(Content::Binary(base64)),
        (None, None) | (Some(_), Some(_)) => Err(Refusal::Content),
    }
}

/// AWS writes times in JSON as seconds with a fraction.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit the 52 bits of a double")]
fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}
