//! The operator's commands against a stack that stands for a deployed one; a small program answers in place of the AWS CLI.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::SignedDuration;
use local::operator::{AwsCli, Finding, Stack, State, examine, redrive, reseal};
use local::{LocalConfig, Running};
use runtime::Clock;
use serde_json::{Value, json};

const DEAD_LETTERS: &str = "pagerbridge-dead.fifo";

/// Answers the three calls that are made of the AWS CLI.
fn fake_cli(folder: &Path, stack: &Running) -> AwsCli {
    let queue = stack.environment.get("PAGERBRIDGE_QUEUE_URL").unwrap();
    let dead_letters = format!("{}/{DEAD_LETTERS}", queue.rsplit_once('/').unwrap().0);
    let write = |name: &str, answer: &Value| std::fs::write(folder.join(name), answer.to_string()).unwrap();
    write(
        "describe-stacks",
        &json!({ "Stacks": [{ "StackStatus": "UPDATE_COMPLETE", "Outputs": [
            { "OutputKey": "ReconcilerFunctionName", "OutputValue": "acme-reconciler" },
            { "OutputKey": "DeadLetterQueueUrl", "OutputValue": dead_letters },
            { "OutputKey": "SecretArn", "OutputValue": stack.environment.get("PAGERBRIDGE_SECRET_ID") },
        ]}]}),
    );
    let mut variables: serde_json::Map<String, Value> = stack
        .environment
        .iter()
        .filter(|(name, _)| !name.starts_with("AWS_") || name.starts_with("AWS_ENDPOINT"))
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    variables.insert("PAGERBRIDGE_SECRET_ID".to_owned(), json!("pagerbridge-reconciler"));
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:acme-reconciler";
    write("get-function-configuration", &json!({ "FunctionArn": arn, "Environment": { "Variables": variables } }));
    write("export-credentials", &json!({ "AccessKeyId": "AKIAX", "SecretAccessKey": "x", "SessionToken": "y" }));
    let program = folder.join("aws");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--stack-name\\ other*) echo 'Stack with id other does not exist' >&2; exit 254;; esac\n\
         exec cat '{}'/\"$2\"\n",
        folder.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    AwsCli::at(program, Some("eu-central-1"), None)
}

async fn started() -> (Running, tempfile::TempDir, AwsCli) {
    let stack = local::compose(LocalConfig::for_tests(Clock::System)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let aws = fake_cli(folder.path(), &stack);
    (stack, folder, aws)
}

async fn look(aws: &AwsCli) -> Vec<Finding> {
    examine(&Stack::find(aws, "acme").await.unwrap()).await
}

fn state<'f>(findings: &'f [Finding], what: &str) -> &'f State {
    &findings.iter().find(|finding| finding.what == what).unwrap_or_else(|| panic!("{what} was not looked at")).state
}

fn wrong(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().filter(|finding| finding.is_wrong()).map(|finding| finding.what).collect()
}

#[tokio::test]
async fn the_doctor_finds_nothing_wrong_with_a_stack_that_is_in_order() {
    let (stack, _folder, aws) = started().await;
    stack.reconcile().await.unwrap();
    let findings = look(&aws).await;
    assert_eq!(wrong(&findings), Vec::<&str>::new(), "{findings:#?}");
    let looked: Vec<&str> = findings.iter().map(|finding| finding.what).collect();
    let expected = [
        "configuration",
        "table",
        "queue",
        "dead letters",
        "secret",
        "bot token",
        "bot connector keys",
        "PagerDuty app",
        "public URL",
        "TLS",
        "clock",
        "routes",
        "subscriptions",
        "connections",
        "unfinished",
        "reconciler",
    ];
    assert_eq!(looked, expected);
    let printed = findings.iter().map(ToString::to_string).collect::<String>();
    assert!(!printed.contains("local-teams-secret"), "no secret is printed");
}

#[tokio::test]
async fn the_doctor_finds_each_thing_that_is_wrong_and_says_what_to_do() {
    let (stack, _folder, aws) = started().await;
    let found = look(&aws).await;
    assert_eq!(wrong(&found), ["reconciler"], "it has not run yet");
    stack.reconcile().await.unwrap();

    let pagerduty = stack.pagerduty.as_ref().unwrap();
    let service = stack.demo.as_ref().unwrap().channels[0].service.clone();
    pagerduty.disable(&pagerduty.subscriptions_of(&service)[0]);
    assert_eq!(wrong(&look(&aws).await), ["subscriptions"]);
    stack.reconcile().await.unwrap();

    stack.aws.refuse_dynamodb(true);
    let found = look(&aws).await;
    assert!(wrong(&found).starts_with(&["table", "public URL"]), "{found:#?}");
    stack.aws.refuse_dynamodb(false);

    stack.aws.refuse_sqs(true);
    assert_eq!(wrong(&look(&aws).await), ["queue", "public URL"]);
    stack.aws.refuse_sqs(false);

    let teams = stack.teams.as_ref().unwrap();
    teams.fail_next_token(1, &simulators::teams::Fault::status(401, "invalid_client"));
    let found = look(&aws).await;
    assert_eq!(wrong(&found), ["bot token"]);
    let State::Wrong { fix, .. } = state(&found, "bot token") else { panic!("{found:#?}") };
    assert!(fix.contains("TeamsAppId"), "{fix}");

    pagerduty.fail_next_token(1, &simulators::pagerduty::Fault::Status(401));
    assert_eq!(wrong(&look(&aws).await), ["PagerDuty app"]);
    assert_eq!(wrong(&look(&aws).await), Vec::<&str>::new());
}

#[tokio::test]
async fn the_operator_reads_the_secret_with_everything_and_not_a_functions_own() {
    let (stack, _folder, aws) = started().await;
    let deployed = Stack::find(&aws, "acme").await.unwrap();
    let values = deployed.app.secrets.values(stack.app.clock.now()).await.unwrap();
    assert!(values.token_keys().is_ok() && values.session_key().is_ok() && values.webhook_keys().is_ok());
    let done = reseal(&deployed.app, true).await.unwrap();
    assert_eq!(
        done.text, "account links: 0 with the current key\nwebhook subscriptions: 2 with the current key",
        "of the demo"
    );
    assert!(done.is_complete);
}

#[tokio::test]
async fn a_stack_that_is_not_there_is_named() {
    let (_stack, folder, aws) = started().await;
    let error = format!("{:#}", Stack::find(&aws, "other").await.unwrap_err());
    assert!(error.contains("Stack with id other does not exist"), "{error}");
    std::fs::write(folder.path().join("describe-stacks"), r#"{"Stacks":[{"Outputs":[]}]}"#).unwrap();
    let error = format!("{:#}", Stack::find(&aws, "acme").await.unwrap_err());
    assert!(error.contains("it is not PagerBridge"), "{error}");
    let missing = AwsCli::at(folder.path().join("nowhere"), None, None);
    let error = format!("{:#}", Stack::find(&missing, "acme").await.unwrap_err());
    assert!(error.contains("please install it"), "{error}");
}

#[tokio::test]
async fn dead_letters_are_found_and_moved_back() {
    let mut config = LocalConfig::for_tests(Clock::manual(Clock::System.now()));
    config.data_dir = None;
    let stack = local::compose(config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let aws = fake_cli(folder.path(), &stack);
    let sqs = runtime::AwsClients::new(&stack.app.config.aws).sqs;
    let send = sqs.send_message().queue_url(&stack.app.config.queue_url).message_body("of another age");
    send.message_group_id("g").message_deduplication_id("1").send().await.unwrap();
    stack.settle_all().await.unwrap();
    let deployed = Stack::find(&aws, "acme").await.unwrap();
    assert!(wrong(&examine(&deployed).await).contains(&"dead letters"));
    assert_eq!(redrive(&deployed, true).await.unwrap(), "1 messages are in the dead-letter queue.");
    assert_eq!(stack.aws.depth(DEAD_LETTERS).unwrap().visible, 1, "a dry run moves nothing");
    assert!(redrive(&deployed, false).await.unwrap().starts_with("Moving 1 messages back."));
    stack.settle_all().await.unwrap();
    assert_eq!(redrive(&deployed, true).await.unwrap(), "1 messages are in the dead-letter queue.", "still unreadable");
}

#[tokio::test]
async fn what_waits_for_long_and_what_is_parked_is_found() {
    let stack = local::compose(LocalConfig::for_tests(Clock::manual(Clock::System.now()))).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let aws = fake_cli(folder.path(), &stack);
    let channel = &stack.demo.as_ref().unwrap().channels[0];
    let (pagerduty, teams) = (stack.pagerduty.as_ref().unwrap(), stack.teams.as_ref().unwrap());
    let found = async || {
        // The operator's own clock is the present time, which the stack's is ahead of.
        let mut deployed = Stack::find(&aws, "acme").await.unwrap();
        deployed.app.clock = stack.app.clock.clone();
        let State::Wrong { seen, fix } = state(&examine(&deployed).await, "unfinished").clone() else {
            panic!("nothing was found")
        };
        (seen, fix)
    };
    let trigger = async || {
        stack.app.clock.advance(SignedDuration::from_millis(1));
        pagerduty.trigger(&channel.service, "DB down", "high");
        stack.settle().await.unwrap();
    };
    teams.fail_next_in(&channel.channel, 2, &simulators::teams::Fault::status(413, "MessageSizeTooBig"));
    trigger().await;
    let (seen, fix) = found().await;
    assert!(seen.contains("1 parked") && fix.contains("Replay"), "{seen}: {fix}");

    teams.fail_next_in(&channel.channel, 1000, &simulators::teams::Fault::status(500, "ServiceError"));
    trigger().await;
    // Between two tries it waits, and is not late.
    for _ in 0..20 {
        stack.advance(SignedDuration::from_mins(1)).await.unwrap();
    }
    stack.app.clock.advance(SignedDuration::from_mins(5));
    let (seen, fix) = found().await;
    assert!(
        seen.contains("2 things are unfinished, the oldest for 2") && fix.contains("OldestUnfinishedAlarm"),
        "{seen}: {fix}"
    );
}
