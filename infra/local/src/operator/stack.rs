//! A deployed stack: its outputs, and the environment of its functions.

use std::collections::BTreeMap;

use anyhow::Context as _;
use runtime::{App, AwsClients, Clock, Config};
use serde_json::Value;

use super::AwsCli;

/// The output that names the function whose environment is read; but for what only one of them is told, all functions have the
/// same one.
const FUNCTION: &str = "ReconcilerFunctionName";

/// The output that names the secret with everything.
const SECRET: &str = "SecretArn";

/// The parameter that only webhook-ingest is told.
const SOURCES: &str = "WebhookSources";

/// A stack, with everything that its functions would work with.
#[derive(Debug)]
pub struct Stack {
    name: String,
    status: String,
    /// The outputs of the template.
    pub outputs: BTreeMap<String, String>,
    /// The parameters of the template.
    pub parameters: BTreeMap<String, String>,
    /// As the functions build it, but with the operator's credentials.
    pub app: App,
    /// The queues.
    pub sqs: aws_sdk_sqs::Client,
}

impl Stack {
    /// Finds a stack and reads what its functions are told.
    ///
    /// # Errors
    /// There is no such stack, it is not ours, or the operator may not read it.
    pub async fn find(aws: &AwsCli, name: &str) -> anyhow::Result<Self> {
        let described =
            aws.json(&["cloudformation", "describe-stacks", "--stack-name", name, "--output", "json"]).await?;
        let stack = described.pointer("/Stacks/0").context("CloudFormation describes no stack")?;
        let outputs = pairs(stack, "Output");
        let parameters = pairs(stack, "Parameter");
        let function = outputs.get(FUNCTION).with_context(|| {
            format!("the stack {name} has no output {FUNCTION}: it is not PagerBridge, or not complete")
        })?;
        let arguments = ["lambda", "get-function-configuration", "--function-name", function, "--output", "json"];
        let configuration = aws.json(&arguments).await?;
        let credentials = aws.json(&["configure", "export-credentials", "--format", "process"]).await?;
        let mut environment = environment(&configuration, &credentials);
        if let Some(sources) = parameters.get(SOURCES) {
            environment.insert("PAGERBRIDGE_WEBHOOK_SOURCES".to_owned(), sources.clone());
        }
        let mut config = Config::from_env(&|name| environment.get(name).cloned())
            .with_context(|| format!("the environment of {function} is not usable"))?;
        // The function's own has what that function needs.
        if let Some(secret) = outputs.get(SECRET) {
            secret.clone_into(&mut config.secret_id);
        }
        let sqs = AwsClients::new(&config.aws).sqs;
        let status = text(stack, "/StackStatus").unwrap_or("unknown").to_owned();
        Ok(Self { name: name.to_owned(), status, outputs, parameters, app: App::new(config, Clock::System)?, sqs })
    }

    /// Which stack this is, for people.
    #[must_use]
    pub fn heading(&self) -> String {
        format!("Stack {} ({}), {}", self.name, self.status, self.app.config.public_url)
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// `Outputs` or `Parameters`, of which each has a key and a value.
fn pairs(stack: &Value, kind: &str) -> BTreeMap<String, String> {
    let list = stack.get(format!("{kind}s")).and_then(Value::as_array).into_iter().flatten();
    let part = |one: &Value, name: &str| Some(one.get(format!("{kind}{name}"))?.as_str()?.to_owned());
    list.filter_map(|one| Some((part(one, "Key")?, part(one, "Value")?))).collect()
}

fn environment(configuration: &Value, credentials: &Value) -> BTreeMap<String, String> {
    let variables = configuration.pointer("/Environment/Variables").and_then(Value::as_object);
    let mut environment: BTreeMap<String, String> = variables
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    // An ARN's fourth part is the region (AWS, "Amazon Resource Names").
    let region = text(configuration, "/FunctionArn").and_then(|arn| arn.split(':').nth(3));
    let given = [
        ("AWS_REGION", region),
        ("AWS_ACCESS_KEY_ID", text(credentials, "/AccessKeyId")),
        ("AWS_SECRET_ACCESS_KEY", text(credentials, "/SecretAccessKey")),
        ("AWS_SESSION_TOKEN", text(credentials, "/SessionToken")),
    ];
    environment.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    environment
}
