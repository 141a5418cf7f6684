//! The operator's commands against a stack that stands for a deployed one; a small program answers in place of the AWS CLI.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use domain::healing::{Ended, Healing, Part};
use domain::ids::{AccountId, ServiceId};
use jiff::SignedDuration;
use local::operator::{AwsCli, Finding, Stack, State, examine, redrive, reseal};
use local::{LocalConfig, Running};
use pagerduty::rest::NewSubscription;
use runtime::Clock;
use serde_json::{Value, json};

const DEAD_LETTERS: &str = "pagerbridge-dead.fifo";

const SOURCES: &str = "PAGERBRIDGE_WEBHOOK_SOURCES";

/// Answers the three calls that are made of the AWS CLI.
fn fake_cli(folder: &Path, stack: &Running) -> AwsCli {
    let queue = stack.environment.get("PAGERBRIDGE_QUEUE_URL").unwrap();
    let dead_letters = format!("{}/{DEAD_LETTERS}", queue.rsplit_once('/').unwrap().0);
    let write = |name: &str, answer: &Value| std::fs::write(folder.join(name), answer.to_string()).unwrap();
    write(
        "describe-stacks",
        &json!({ "Stacks": [{
            "StackStatus": "UPDATE_COMPLETE",
            "Parameters": [
                { "ParameterKey": "CustomDomainName", "ParameterValue": "bridge.example.com" },
                { "ParameterKey": "CloseExecuteApi", "ParameterValue": "false" },
                { "ParameterKey": "WebhookSources", "ParameterValue": stack.environment.get(SOURCES).map_or("", String::as_str) },
            ],
            "Outputs": [
                { "OutputKey": "ReconcilerFunctionName", "OutputValue": "acme-reconciler" },
                { "OutputKey": "DeadLetterQueueUrl", "OutputValue": dead_letters },
                { "OutputKey": "SecretArn", "OutputValue": stack.environment.get("PAGERBRIDGE_SECRET_ID") },
            ],
        }]}),
    );
    let mut variables: serde_json::Map<String, Value> = stack
        .environment
        .iter()
        .filter(|(name, _)| !name.starts_with("AWS_") || name.starts_with("AWS_ENDPOINT"))
        // The reconciler is not told.
        .filter(|(name, _)| *name != SOURCES)
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
    // Begins as the operator's own clock, which is the system's, and can be moved past what /health remembers.
    let stack = local::compose(LocalConfig::for_tests(Clock::manual(Clock::System.now()))).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let aws = fake_cli(folder.path(), &stack);
    (stack, folder, aws)
}

async fn look(aws: &AwsCli) -> Vec<Finding> {
    Box::pin(examine(&Stack::find(aws, "acme").await.unwrap())).await
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
    assert_eq!(stack.reconcile().await.ended(), Ended::Well);
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
        "webhook sources",
        "subscriptions",
        "webhook addresses",
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
    let look = async |aws: &AwsCli| {
        stack.app.clock.advance(SignedDuration::from_secs(5));
        look(aws).await
    };
    let found = look(&aws).await;
    assert_eq!(wrong(&found), ["reconciler"], "it has not run yet");
    assert_eq!(stack.reconcile().await.ended(), Ended::Well);

    let pagerduty = stack.pagerduty.as_ref().unwrap();
    let service = stack.demo.as_ref().unwrap().channels[0].service.clone();
    pagerduty.disable(&pagerduty.subscriptions_of(&service)[0]);
    assert_eq!(wrong(&look(&aws).await), ["subscriptions"]);
    assert_eq!(stack.reconcile().await.ended(), Ended::Well);

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
async fn the_doctor_says_which_part_does_not_heal_and_since_when() {
    let (stack, _folder, aws) = started().await;
    let (app, now) = (&stack.app, Clock::System.now());
    let ago = |minutes| now.checked_sub(SignedDuration::from_mins(minutes)).unwrap();
    let seen = async |healing: &Healing| {
        app.store.put_healing(&app.config.pagerduty_client_id, healing).await.unwrap();
        let mut deployed = Stack::find(&aws, "acme").await.unwrap();
        deployed.app.clock = Clock::manual(now);
        let found = Box::pin(examine(&deployed)).await;
        found.iter().filter(|finding| finding.what == "reconciler").map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut healing = Healing::default();
    healing.note(Part::News, Ended::Well, ago(6));
    let at = |minutes| ago(minutes).strftime("%Y-%m-%d %H:%M UTC").to_string();
    let [silent] = &seen(&healing).await[..] else { panic!("one finding") };
    assert!(
        silent.contains(&format!("has not run since {}", at(6))) && silent.contains("ReconcilerSilentAlarm"),
        "{silent}"
    );

    for minutes in [4, 3, 1] {
        healing.note(Part::Incidents, Ended::Failed, ago(minutes));
        healing.note(Part::BotToken, Ended::Failed, ago(minutes));
        healing.note(Part::News, Ended::Well, ago(minutes));
    }
    let [incidents, token] = &seen(&healing).await[..] else { panic!("two findings") };
    let expected = format!("Open incidents have not been compared with PagerDuty since {}", at(4));
    assert!(incidents.contains(&expected) && incidents.contains("where part is incidents"), "{incidents}");
    assert!(
        token.contains("Entra has not given the bot a token") && token.contains("see 'bot token' above"),
        "{token}"
    );

    for part in [Part::Incidents, Part::BotToken] {
        healing.note(part, Ended::Well, now);
    }
    let [fine] = &seen(&healing).await[..] else { panic!("one finding") };
    assert!(fine.starts_with("ok") && fine.contains("every part of it heals"), "{fine}");
}

#[tokio::test]
async fn the_doctor_says_when_the_address_before_can_be_closed() {
    let (stack, _folder, aws) = started().await;
    let (pagerduty, app) = (stack.pagerduty.as_ref().unwrap(), &stack.app);
    let service = ServiceId::new(stack.demo.as_ref().unwrap().channels[0].service.as_str()).unwrap();
    let account = AccountId::new(local::ACCOUNT).unwrap();
    let known = app.store.subscription_of_service(&account, &service).await.unwrap().unwrap();
    let token = app.as_app().new_token().await.unwrap().access_token;
    let auth = pagerduty::rest::Auth::App(&token);
    let old = "https://a1b2c3.execute-api.eu-central-1.amazonaws.com/webhooks/pagerduty".parse().unwrap();
    let events = &domain::event::subscribed();
    let wanted = NewSubscription { service: &service, url: &old, description: "PagerBridge", events };
    let made = app.pagerduty.create_subscription(auth, &wanted).await.unwrap();
    app.pagerduty.delete_subscription(auth, &known.id).await.unwrap();
    app.store.delete_subscription(&known).await.unwrap();
    let before = store::Subscription { id: made.id, url: Some(old.to_string()), ..known };
    app.store.put_subscription(&before).await.unwrap();

    let found = look(&aws).await;
    let State::Wrong { seen, fix } = state(&found, "webhook addresses") else { panic!("{found:#?}") };
    assert_eq!(seen, "1 webhooks still come to a1b2c3.execute-api.eu-central-1.amazonaws.com");
    assert!(fix.contains("keep that address open"), "{fix}");
    assert!(!wrong(&found).contains(&"subscriptions"), "it delivers, only not here");

    assert_eq!(stack.reconcile().await.ended(), Ended::Well);
    assert_eq!(pagerduty.subscriptions_of(service.as_str()).len(), 1);
    let found = look(&aws).await;
    let State::Fine(seen) = state(&found, "webhook addresses") else { panic!("{found:#?}") };
    assert!(seen.contains("come to 127.0.0.1; CloseExecuteApi can close the execute-api address"), "{seen}");
}

#[tokio::test]
async fn the_doctor_says_from_where_webhooks_may_come() {
    let (_stack, _folder, aws) = started().await;
    let found = look(&aws).await;
    let State::Fine(seen) = state(&found, "webhook sources") else { panic!("{found:#?}") };
    assert!(seen.starts_with("every address"), "{seen}");

    let mut config = LocalConfig::for_tests(Clock::manual(Clock::System.now()));
    config.environment.insert(SOURCES.to_owned(), "192.0.2.7,198.51.100.0/24".to_owned());
    let stack = local::compose(config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let found = look(&fake_cli(folder.path(), &stack)).await;
    let State::Fine(seen) = state(&found, "webhook sources") else { panic!("{found:#?}") };
    assert!(seen.starts_with("2 addresses or ranges only"), "{seen}");
    assert!(!wrong(&found).contains(&"routes"), "the operator's machine need not be on the list: {found:#?}");
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
    assert!(wrong(&Box::pin(examine(&deployed)).await).contains(&"dead letters"));
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
        let State::Wrong { seen, fix } = state(&Box::pin(examine(&deployed)).await, "unfinished").clone() else {
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
