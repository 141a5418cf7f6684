//! What has to be true of anything that answers to the Secrets Manager SDK.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use aws_sdk_secretsmanager::primitives::Blob;

use crate::sqs_checks::refusal;
use crate::support::Clients;

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

async fn text(clients: &Clients, id: &str, stage: Option<&str>) -> Result<String> {
    let request = clients.secrets.get_secret_value().secret_id(id).set_version_stage(stage.map(str::to_owned));
    request.send().await?.secret_string.context("no text")
}

pub(crate) async fn check_a_secret_is_read_by_name_and_arn(clients: &Clients) -> Result<()> {
    let created = clients.secrets.create_secret().name("app/read").secret_string("{\"a\":1}").send().await?;
    let arn = created.arn().context("no ARN")?;
    ensure!(created.name() == Some("app/read"));
    ensure!(arn.starts_with("arn:aws:secretsmanager:us-east-1:000000000000:secret:app/read-"));
    let partial = arn.rsplit_once('-').context("no suffix")?.0;
    for id in ["app/read", arn, partial] {
        let read = clients.secrets.get_secret_value().secret_id(id).send().await?;
        ensure!(read.secret_string() == Some("{\"a\":1}"), "{id}");
        ensure!((read.name(), read.arn(), read.version_id()) == (Some("app/read"), Some(arn), created.version_id()));
        ensure!(read.version_stages() == [CURRENT]);
        ensure!(read.created_date().is_some());
    }
    Ok(())
}

pub(crate) async fn check_bytes_can_be_secret(clients: &Clients) -> Result<()> {
    let bytes = Blob::new([0, 1, 254, 255]);
    clients.secrets.create_secret().name("app/bytes").secret_binary(bytes.clone()).send().await?;
    let read = clients.secrets.get_secret_value().secret_id("app/bytes").send().await?;
    ensure!((read.secret_binary(), read.secret_string()) == (Some(&bytes), None));
    Ok(())
}

pub(crate) async fn check_a_new_value_becomes_current(clients: &Clients) -> Result<()> {
    clients.secrets.create_secret().name("app/rotated").secret_string("1").send().await?;
    for value in ["2", "3"] {
        let put = clients.secrets.put_secret_value().secret_id("app/rotated").secret_string(value).send().await?;
        ensure!(put.version_stages() == [CURRENT]);
    }
    ensure!(text(clients, "app/rotated", None).await? == "3");
    ensure!(text(clients, "app/rotated", Some(CURRENT)).await? == "3");
    ensure!(text(clients, "app/rotated", Some(PREVIOUS)).await? == "2");
    Ok(())
}

pub(crate) async fn check_a_value_can_wait_under_its_own_label(clients: &Clients) -> Result<()> {
    clients.secrets.create_secret().name("app/pending").secret_string("1").send().await?;
    let request = clients.secrets.put_secret_value().secret_id("app/pending").secret_string("2");
    let put = request.version_stages("AWSPENDING").send().await?;
    let pending = put.version_id().context("no version")?;
    ensure!(text(clients, "app/pending", None).await? == "1");
    ensure!(text(clients, "app/pending", Some("AWSPENDING")).await? == "2");
    let by_version = clients.secrets.get_secret_value().secret_id("app/pending").version_id(pending).send().await?;
    ensure!(by_version.secret_string() == Some("2"));
    Ok(())
}

pub(crate) async fn check_a_token_makes_a_call_repeatable(clients: &Clients) -> Result<()> {
    let token = "11111111-2222-4333-8444-555555555555";
    clients.secrets.create_secret().name("app/token").secret_string("1").send().await?;
    let put = |value: &str| {
        clients
            .secrets
            .put_secret_value()
            .secret_id("app/token")
            .secret_string(value)
            .client_request_token(token)
            .send()
    };
    ensure!(put("2").await?.version_id() == Some(token));
    ensure!(put("2").await?.version_id() == Some(token));
    ensure!(refusal(put("3").await)? == "ResourceExistsException");
    ensure!(text(clients, "app/token", None).await? == "2");
    ensure!(text(clients, "app/token", Some(PREVIOUS)).await? == "1");
    Ok(())
}

pub(crate) async fn check_a_secret_is_described(clients: &Clients) -> Result<()> {
    let request = clients.secrets.create_secret().name("app/described").description("for a test").secret_string("1");
    let created = request.send().await?;
    let put = clients.secrets.put_secret_value().secret_id("app/described").secret_string("2").send().await?;
    let described = clients.secrets.describe_secret().secret_id("app/described").send().await?;
    ensure!((described.arn(), described.name()) == (created.arn(), created.name()));
    ensure!(described.description() == Some("for a test"));
    ensure!(described.created_date().is_some() && described.last_changed_date().is_some());
    let stages = described.version_ids_to_stages.context("no versions")?;
    let stages: BTreeMap<_, BTreeSet<_>> =
        stages.into_iter().map(|(id, stages)| (Some(id), stages.into_iter().collect())).collect();
    let one = |stage: &str| BTreeSet::from([stage.to_owned()]);
    ensure!(stages == BTreeMap::from([(created.version_id, one(PREVIOUS)), (put.version_id, one(CURRENT))]));
    Ok(())
}

pub(crate) async fn check_a_secret_is_created_once(clients: &Clients) -> Result<()> {
    clients.secrets.create_secret().name("app/once").secret_string("1").send().await?;
    let again = clients.secrets.create_secret().name("app/once").secret_string("2").send().await;
    ensure!(refusal(again)? == "ResourceExistsException");
    ensure!(text(clients, "app/once", None).await? == "1");
    Ok(())
}

pub(crate) async fn check_what_is_not_there_is_not_found(clients: &Clients) -> Result<()> {
    let missing = "ResourceNotFoundException";
    ensure!(refusal(clients.secrets.get_secret_value().secret_id("app/missing").send().await)? == missing);
    ensure!(refusal(clients.secrets.describe_secret().secret_id("app/missing").send().await)? == missing);
    let put = clients.secrets.put_secret_value().secret_id("app/missing").secret_string("1");
    ensure!(refusal(put.send().await)? == missing);
    clients.secrets.create_secret().name("app/there").secret_string("1").send().await?;
    let stage = clients.secrets.get_secret_value().secret_id("app/there").version_stage(PREVIOUS);
    ensure!(refusal(stage.send().await)? == missing);
    let version =
        clients.secrets.get_secret_value().secret_id("app/there").version_id("11111111-2222-4333-8444-666666666666");
    ensure!(refusal(version.send().await)? == missing);
    Ok(())
}

pub(crate) async fn check_a_secret_has_one_content(clients: &Clients) -> Result<()> {
    let both = clients.secrets.create_secret().name("app/both").secret_string("1").secret_binary(Blob::new([1]));
    ensure!(refusal(both.send().await)? == "InvalidParameterException");
    clients.secrets.create_secret().name("app/either").secret_string("1").send().await?;
    let neither = clients.secrets.put_secret_value().secret_id("app/either");
    ensure!(refusal(neither.send().await)? == "InvalidParameterException");
    Ok(())
}
