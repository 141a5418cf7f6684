//! What the store relies on and an emulator could get wrong: conditions, transactions, the index, consistent answers.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, CancellationReason, ConditionCheck, GlobalSecondaryIndex,
    KeySchemaElement, KeyType, KeysAndAttributes, Projection, ProjectionType, Put, ReturnValue,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TableStatus, TimeToLiveSpecification, TransactWriteItem,
};

use crate::sqs_checks::refusal;
use crate::support::Clients;

type Item = HashMap<String, AttributeValue>;

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn item(attributes: &[(&str, &str)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()
}

async fn table(clients: &Clients, name: &str) -> Result<()> {
    let attribute =
        |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let index = GlobalSecondaryIndex::builder()
        .index_name("gsi1")
        .key_schema(key("gsi1pk", KeyType::Hash)?)
        .key_schema(key("gsi1sk", KeyType::Range)?)
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()?;
    let mut request = clients.dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for name in ["pk", "sk", "gsi1pk", "gsi1sk"] {
        request = request.attribute_definitions(attribute(name)?);
    }
    let request = request.key_schema(key("pk", KeyType::Hash)?).key_schema(key("sk", KeyType::Range)?);
    request.global_secondary_indexes(index).send().await?;
    let described = clients.dynamodb.describe_table().table_name(name).send().await?;
    ensure!(described.table().and_then(|table| table.table_status()) == Some(&TableStatus::Active));
    Ok(())
}

async fn put(clients: &Clients, table: &str, attributes: &[(&str, &str)]) -> Result<()> {
    clients.dynamodb.put_item().table_name(table).set_item(Some(item(attributes))).send().await?;
    Ok(())
}

async fn get(clients: &Clients, table: &str, pk: &str, sk: &str) -> Result<Option<Item>> {
    let request = clients.dynamodb.get_item().table_name(table).consistent_read(true);
    Ok(request.key("pk", text(pk)).key("sk", text(sk)).send().await?.item)
}

pub(crate) async fn check_an_item_is_kept_whole(clients: &Clients) -> Result<()> {
    table(clients, "whole").await?;
    let mut kept = item(&[("pk", "A#1"), ("sk", "RECORD"), ("text", "Grüße \u{1F600}")]);
    kept.insert("number".to_owned(), AttributeValue::N("12345678901234567890".to_owned()));
    kept.insert("map".to_owned(), AttributeValue::M(item(&[("empty", "")])));
    kept.insert("list".to_owned(), AttributeValue::L(vec![AttributeValue::Bool(true), AttributeValue::Null(true)]));
    clients.dynamodb.put_item().table_name("whole").set_item(Some(kept.clone())).send().await?;
    ensure!(get(clients, "whole", "A#1", "RECORD").await? == Some(kept));
    ensure!(get(clients, "whole", "A#1", "OTHER").await?.is_none());
    let deleted = clients.dynamodb.delete_item().table_name("whole").key("pk", text("A#1")).key("sk", text("RECORD"));
    deleted.send().await?;
    ensure!(get(clients, "whole", "A#1", "RECORD").await?.is_none());
    Ok(())
}

pub(crate) async fn check_a_condition_protects_an_item(clients: &Clients) -> Result<()> {
    table(clients, "condition").await?;
    put(clients, "condition", &[("pk", "A"), ("sk", "1"), ("version", "1")]).await?;
    let replace = |expected: &str, new: &str| {
        let request = clients.dynamodb.put_item().table_name("condition").condition_expression("#v = :expected");
        request
            .set_item(Some(item(&[("pk", "A"), ("sk", "1"), ("version", new)])))
            .expression_attribute_names("#v", "version")
            .expression_attribute_values(":expected", text(expected))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
    };
    replace("1", "2").await?;
    let lost = replace("1", "3").await.err().context("the condition did not hold it back")?.into_service_error();
    let lost = match lost {
        aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(lost) => lost,
        other => anyhow::bail!("{other}"),
    };
    ensure!(lost.item().and_then(|item| item.get("version")) == Some(&text("2")));
    let found = get(clients, "condition", "A", "1").await?.context("gone")?;
    ensure!(found.get("version") == Some(&text("2")));
    Ok(())
}

pub(crate) async fn check_an_update_counts_and_answers(clients: &Clients) -> Result<()> {
    table(clients, "update").await?;
    let count = || {
        let request = clients.dynamodb.update_item().table_name("update").key("pk", text("A")).key("sk", text("1"));
        let request = request.update_expression("ADD tries :one REMOVE claim").return_values(ReturnValue::AllNew);
        request.expression_attribute_values(":one", AttributeValue::N("1".to_owned())).send()
    };
    count().await?;
    let updated = count().await?;
    ensure!(updated.attributes().and_then(|all| all.get("tries")) == Some(&AttributeValue::N("2".to_owned())));
    Ok(())
}

pub(crate) async fn check_an_update_makes_keeps_appends_and_removes(clients: &Clients) -> Result<()> {
    table(clients, "expressions").await?;
    let update = |expression: &str| {
        let request =
            clients.dynamodb.update_item().table_name("expressions").key("pk", text("A")).key("sk", text("1"));
        request.update_expression(expression).return_values(ReturnValue::AllNew)
    };
    let mark = |number: &str| {
        let list = AttributeValue::L(vec![text(number)]);
        update("SET since = if_not_exists(since, :s), causes = list_append(if_not_exists(causes, :none), :c), d = :d")
            .condition_expression("attribute_not_exists(causes) OR size(causes) < :most")
            .expression_attribute_values(":s", text(number))
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":c", list)
            .expression_attribute_values(":d", AttributeValue::M(item(&[("hold", "x"), ("kept", number)])))
            .expression_attribute_values(":most", AttributeValue::N("3".to_owned()))
            .send()
    };
    for number in ["1", "2", "3"] {
        mark(number).await?;
    }
    ensure!(refusal(mark("4").await)? == "ConditionalCheckFailedException");
    let removed = update("REMOVE d.#hold, nothing").condition_expression("attribute_exists(d.#hold)");
    let removed = removed.expression_attribute_names("#hold", "hold").send().await?;
    let expected = item(&[("pk", "A"), ("sk", "1"), ("since", "1")]);
    let expected = expected.into_iter().chain([
        ("causes".to_owned(), AttributeValue::L(vec![text("1"), text("2"), text("3")])),
        ("d".to_owned(), AttributeValue::M(item(&[("kept", "3")]))),
    ]);
    ensure!(removed.attributes == Some(expected.collect()));
    let again = update("REMOVE d.#hold").condition_expression("attribute_exists(d.#hold)");
    let again = again.expression_attribute_names("#hold", "hold");
    ensure!(refusal(again.send().await)? == "ConditionalCheckFailedException");
    Ok(())
}

pub(crate) async fn check_the_first_elements_of_a_list_are_removed(clients: &Clients) -> Result<()> {
    table(clients, "elements").await?;
    let mut kept = item(&[("pk", "A"), ("sk", "1")]);
    kept.insert("list".to_owned(), AttributeValue::L(["1", "2", "3", "4"].map(text).to_vec()));
    clients.dynamodb.put_item().table_name("elements").set_item(Some(kept)).send().await?;
    let request = clients.dynamodb.update_item().table_name("elements").key("pk", text("A")).key("sk", text("1"));
    let request = request.expression_attribute_names("#list", "list").return_values(ReturnValue::AllNew);
    let removed = request.update_expression("REMOVE #list[1], #list[0]").send().await?;
    let left = removed.attributes().and_then(|all| all.get("list"));
    ensure!(left == Some(&AttributeValue::L(vec![text("3"), text("4")])), "left: {left:?}");
    Ok(())
}

pub(crate) async fn check_a_query_reads_a_partition_in_order(clients: &Clients) -> Result<()> {
    table(clients, "query").await?;
    for (pk, sk) in [("A", "CARD#2"), ("A", "RECORD"), ("A", "CARD#1"), ("B", "CARD#3")] {
        put(clients, "query", &[("pk", pk), ("sk", sk)]).await?;
    }
    let query = || {
        let request = clients.dynamodb.query().table_name("query").consistent_read(true);
        request.expression_attribute_values(":pk", text("A"))
    };
    let keys =
        |items: &[Item]| items.iter().filter_map(|item| item.get("sk")?.as_s().ok().cloned()).collect::<Vec<_>>();
    let all = query().key_condition_expression("pk = :pk").send().await?;
    ensure!(keys(all.items()) == ["CARD#1", "CARD#2", "RECORD"]);
    let cards = query()
        .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
        .expression_attribute_values(":sk", text("CARD#"));
    let page = cards.clone().limit(1).send().await?;
    ensure!(keys(page.items()) == ["CARD#1"]);
    let rest = cards.set_exclusive_start_key(page.last_evaluated_key).send().await?;
    ensure!(keys(rest.items()) == ["CARD#2"]);
    Ok(())
}

pub(crate) async fn check_an_index_holds_only_items_with_its_key(clients: &Clients) -> Result<()> {
    table(clients, "index").await?;
    put(clients, "index", &[("pk", "A"), ("sk", "1"), ("gsi1pk", "OPEN#a"), ("gsi1sk", "1")]).await?;
    put(clients, "index", &[("pk", "B"), ("sk", "1"), ("gsi1pk", "OPEN#a"), ("gsi1sk", "2")]).await?;
    put(clients, "index", &[("pk", "C"), ("sk", "1")]).await?;
    put(clients, "index", &[("pk", "A"), ("sk", "1")]).await?;
    let request =
        clients.dynamodb.query().table_name("index").index_name("gsi1").key_condition_expression("gsi1pk = :pk");
    let open = request.expression_attribute_values(":pk", text("OPEN#a")).send().await?;
    ensure!(open.items() == [item(&[("pk", "B"), ("sk", "1"), ("gsi1pk", "OPEN#a"), ("gsi1sk", "2")])]);
    Ok(())
}

pub(crate) async fn check_a_transaction_happens_whole_or_not_at_all(clients: &Clients) -> Result<()> {
    table(clients, "transaction").await?;
    put(clients, "transaction", &[("pk", "TICKET"), ("sk", "1")]).await?;
    let write = |ticket: &str| -> Result<_> {
        let check = ConditionCheck::builder()
            .table_name("transaction")
            .key("pk", text(ticket))
            .key("sk", text("1"))
            .condition_expression("attribute_exists(pk)")
            .build()?;
        let link =
            Put::builder().table_name("transaction").set_item(Some(item(&[("pk", "LINK"), ("sk", ticket)]))).build()?;
        let request = clients.dynamodb.transact_write_items();
        let request = request.transact_items(TransactWriteItem::builder().condition_check(check).build());
        Ok(request.transact_items(TransactWriteItem::builder().put(link).build()).send())
    };
    let cancelled = write("MISSING")?.await.err().context("it was not cancelled")?.into_service_error();
    let cancelled = match cancelled {
        aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
            cancelled,
        ) => cancelled,
        other => anyhow::bail!("{other}"),
    };
    let reasons: Vec<_> = cancelled.cancellation_reasons().iter().map(CancellationReason::code).collect();
    ensure!(reasons == [Some("ConditionalCheckFailed"), Some("None")]);
    ensure!(get(clients, "transaction", "LINK", "MISSING").await?.is_none());
    write("TICKET")?.await?;
    ensure!(get(clients, "transaction", "LINK", "TICKET").await?.is_some());
    Ok(())
}

pub(crate) async fn check_many_items_are_read_at_once(clients: &Clients) -> Result<()> {
    table(clients, "batch").await?;
    put(clients, "batch", &[("pk", "A"), ("sk", "1")]).await?;
    put(clients, "batch", &[("pk", "B"), ("sk", "1")]).await?;
    let keys = ["A", "B", "C"].map(|pk| item(&[("pk", pk), ("sk", "1")])).to_vec();
    let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build()?;
    let read = clients.dynamodb.batch_get_item().request_items("batch", wanted).send().await?;
    let mut found: Vec<_> = read.responses().and_then(|all| all.get("batch")).context("no answer")?.iter().collect();
    found.sort_by_key(|item| item.get("pk").and_then(|pk| pk.as_s().ok()));
    ensure!(found == [&item(&[("pk", "A"), ("sk", "1")]), &item(&[("pk", "B"), ("sk", "1")])]);
    Ok(())
}

pub(crate) async fn check_expiry_can_be_switched_on(clients: &Clients) -> Result<()> {
    table(clients, "expiry").await?;
    let specification = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build()?;
    clients
        .dynamodb
        .update_time_to_live()
        .table_name("expiry")
        .time_to_live_specification(specification)
        .send()
        .await?;
    let described = clients.dynamodb.describe_time_to_live().table_name("expiry").send().await?;
    let name = described.time_to_live_description().and_then(|ttl| ttl.attribute_name());
    ensure!(name == Some("expires_at"));
    Ok(())
}

pub(crate) async fn check_a_table_is_created_once(clients: &Clients) -> Result<()> {
    table(clients, "once").await?;
    ensure!(table(clients, "once").await.is_err());
    let missing = clients.dynamodb.describe_table().table_name("missing").send().await;
    ensure!(refusal(missing)? == "ResourceNotFoundException");
    Ok(())
}
