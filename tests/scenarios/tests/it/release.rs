//! The real release binaries, started by a Runtime API stand-in with nothing but environment variables.

use std::path::Path;

use jiff::SignedDuration;
use local::{LocalConfig, Running};
use runtime::Clock;
use serde_json::{Value, json};

use crate::lambda::{Function, Gateway, serve_gateway};
use crate::world::{self, World};

/// What each sample event must be answered. A sample without a row fails, and so does a row without a sample.
fn expected_answers() -> Vec<(&'static str, Value)> {
    vec![
        ("admin-api--health", json!(200)),
        ("bot-messages--forged-token", json!(401)),
        ("bot-messages--no-token", json!(401)),
        ("notification-sender--nothing-unfinished", json!([])),
        ("notification-sender--unreadable", json!(["19dd0b57-b21e-4ac1-bd88-01bbb068cb78"])),
        ("oauth-callback--expired-ticket", json!(400)),
        ("oauth-callback--unknown-state", json!(400)),
        ("reconciler--scheduled", Value::Null),
        ("reconciler--short-round", Value::Null),
        ("webhook-ingest--base64-body", json!(503)),
        ("webhook-ingest--no-signature", json!(401)),
        ("webhook-ingest--unknown-subscription", json!(503)),
    ]
}

#[tokio::test]
async fn every_sample_event_is_answered_by_its_function() {
    let stack = local::compose(LocalConfig::for_tests(Clock::manual(world::START))).await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let mut samples: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    samples.sort();
    assert_eq!(samples, expected_answers().iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    for (sample, expected) in expected_answers() {
        let event: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join(format!("{sample}.json"))).unwrap()).unwrap();
        let name = Box::leak(sample.split("--").next().unwrap().to_owned().into_boxed_str());
        let answer = Function::start(name, &stack.environment).await.invoke(event).await;
        assert_eq!(essence(&answer), expected, "{sample}: {answer}");
    }
}

/// An HTTP answer's status, or the message ids that a batch answer returns.
fn essence(answer: &Value) -> Value {
    match answer["batchItemFailures"].as_array() {
        Some(failures) => failures.iter().map(|failure| failure["itemIdentifier"].clone()).collect(),
        None => answer["statusCode"].clone(),
    }
}

/// The variables that the template gives to every function, or to each its own: no other names in it are written like them.
fn variables_of_the_template() -> Vec<String> {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let template = std::fs::read_to_string(template).unwrap();
    let names = template.lines().filter_map(|line| line.trim_start().split_once(": ").map(|(name, _)| name));
    let is_variable = |name: &&str| name.contains('_') && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    names.filter(is_variable).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_release_binaries_do_the_round_trip() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let public = format!("http://{}/", listener.local_addr().unwrap());
    let gateway = serve_gateway(listener);
    let config = LocalConfig {
        // The binaries read the machine's clock.
        clock: Clock::System,
        public_url: Some(public.parse().unwrap()),
        demo: false,
        ..LocalConfig::for_tests(Clock::System)
    };
    let mut stack = local::compose(config).await.unwrap();
    let template = variables_of_the_template();
    let strangers: Vec<&String> =
        stack.environment.keys().filter(|name| !name.starts_with("AWS_") && !template.contains(name)).collect();
    assert_eq!(strangers, Vec::<&String>::new(), "the binaries get what the template gives them, and no more");
    assert!(gateway.set(Gateway::start(&stack.environment).await).is_ok());
    stack.make_demo().await.unwrap();
    let sender = Function::start("notification-sender", &stack.environment).await;
    let world = World::of(stack);

    let incident = world.trigger("Payments", "Disk full on db-1").await;
    deliver(&world.stack, &sender).await;
    let card = world.only_card("Payments");
    assert_eq!(card.buttons(), ["Acknowledge", "Resolve", "Details", "Add note"]);

    world.link("Ada Wong").await;
    let answer = world.click("Ada Wong", &card, "Acknowledge").await;
    assert_eq!(answer.card_buttons(), ["Resolve", "Add note", "Details"]);
    assert_eq!(world.status_in_pagerduty(&incident), "acknowledged");
    deliver(&world.stack, &sender).await;
    let card = world.only_card("Payments");
    assert!(card.summary().contains("acknowledged"), "{}", card.summary());
    assert_eq!(card.buttons(), ["Resolve", "Add note", "Details"]);

    // One id leads from the webhook to Teams, and both functions say what CloudWatch counts.
    let ingest = &gateway.get().unwrap().webhook_ingest;
    ingest.end();
    sender.end();
    let merged = ingest.logged("merged");
    let event = merged.first().unwrap()["event.id"].clone();
    assert!(event.is_string(), "{merged:?}");
    assert!(sender.logged("card").iter().any(|line| line["event.id"] == event && line["outcome"] == "posted"));
    for (function, metric, name) in [
        (ingest, "WebhooksReceived", "webhook-ingest"),
        (ingest, "CardsMarked", "webhook-ingest"),
        (&sender, "CardsPosted", "notification-sender"),
        (&sender, "CardsEdited", "notification-sender"),
        (&sender, "WebhookToCard", "notification-sender"),
    ] {
        let lines = function.printed(|line| line.get("_aws").is_some() && line.get(metric).is_some());
        assert!(!lines.is_empty(), "{name} does not emit {metric}");
        for line in lines {
            let definition = &line["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(
                (&definition["Namespace"], &definition["Dimensions"]),
                (&json!("PagerBridge"), &json!([["FunctionName"]]))
            );
            assert_eq!(line["FunctionName"], name);
        }
    }
    world.finish();
}

/// `cargo test -p scenarios --test it -- --ignored --nocapture ten_thousand` prints the figure.
#[tokio::test]
#[ignore = "takes minutes; its figure is in infra/docs/reliability.md"]
async fn ten_thousand_open_incidents_fit_into_64_mb() {
    const INCIDENTS: usize = 10_200;
    let stack = local::compose(LocalConfig::for_tests(Clock::manual(world::START))).await.unwrap();
    let reconciler = Function::start("reconciler", &stack.environment).await;
    let world = World::of(stack);
    reconciler.invoke(json!({ "round": "full" })).await;
    let idle = reconciler.peak_memory();
    for number in 0..INCIDENTS {
        world.trigger("Payments", &format!("Disk {number} of the cluster in the north is nearly full")).await;
        world.tick(SignedDuration::from_millis(200));
    }
    world.take_undelivered();
    let (began, mut runs) = (std::time::Instant::now(), 0);
    let known = async || world.stack.app.store.open_incidents(&world::account()).await.unwrap().len();
    while known().await < INCIDENTS && runs < 12 {
        runs += 1;
        reconciler.invoke(json!({ "round": "full" })).await;
    }
    let known = known().await;
    // All of them are known now, and looked at once more.
    reconciler.invoke(json!({ "round": "full" })).await;
    reconciler.invoke(json!({ "round": "full" })).await;
    let peak = reconciler.peak_memory();
    let took = began.elapsed().as_secs();
    println!("{known} of {INCIDENTS} known after {runs} runs and {took} s; {idle} KiB before, {peak} KiB at most");
    assert_eq!(known, INCIDENTS);
    assert!(peak < 64 * 1024, "{peak} KiB");
    drop(world.take_undelivered());
}

/// PagerDuty's deliveries and the event source mapping, until both are idle.
async fn deliver(stack: &Running, sender: &Function) {
    let pagerduty = stack.pagerduty.as_ref().unwrap();
    let sqs = runtime::AwsClients::new(&stack.app.config.aws).sqs;
    let queue = &stack.app.config.queue_url;
    loop {
        let delivered = pagerduty.deliver().await;
        let batch = local::receive_batch(&sqs, queue, 0).await.unwrap();
        if delivered == 0 && batch.records.is_empty() {
            return;
        }
        let answer = sender.invoke(serde_json::to_value(&batch).unwrap()).await;
        assert_eq!(answer["batchItemFailures"], json!([]));
        for record in &batch.records {
            let receipt = record.receipt_handle.clone().unwrap();
            sqs.delete_message().queue_url(queue).receipt_handle(receipt).send().await.unwrap();
        }
    }
}
