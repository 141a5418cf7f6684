//! Changing parts of an item in one call, without reading it first.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::{Attributes, key_attributes};
use crate::{Error, Store, keys};

/// An `UpdateItem` in the making.
#[derive(Default)]
pub(crate) struct Update {
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    condition: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Update {
    /// The placeholder for an attribute: some names are words of the expression language.
    pub(crate) fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    pub(crate) fn value(&mut self, name: &str, value: AttributeValue) -> String {
        let placeholder = format!(":{name}");
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    pub(crate) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        let (name, value) = (self.name(name), self.value(name, value));
        self.set.push(format!("{name} = {value}"));
        self
    }

    /// Sets something in the words of the expression language; names and values have been given to it before.
    pub(crate) fn set_to(mut self, assignment: String) -> Self {
        self.set.push(assignment);
        self
    }

    pub(crate) fn set_once(mut self, name: &str, value: AttributeValue) -> Self {
        let (name, value) = (self.name(name), self.value(name, value));
        self.set.push(format!("{name} = if_not_exists({name}, {value})"));
        self
    }

    pub(crate) fn append(mut self, name: &str, value: AttributeValue) -> Self {
        let (name, value) = (self.name(name), self.value(name, AttributeValue::L(vec![value])));
        let none = self.value("none", AttributeValue::L(Vec::new()));
        self.set.push(format!("{name} = list_append(if_not_exists({name}, {none}), {value})"));
        self
    }

    /// Sets an attribute to what stands at a path now.
    pub(crate) fn copy(mut self, name: &str, from: &[&str]) -> Self {
        let name = self.name(name);
        let from: Vec<String> = from.iter().map(|part| self.name(part)).collect();
        self.set.push(format!("{name} = {}", from.join(".")));
        self
    }

    /// `path` may lead into a map.
    pub(crate) fn remove(mut self, path: &[&str]) -> Self {
        let path: Vec<String> = path.iter().map(|name| self.name(name)).collect();
        self.remove.push(path.join("."));
        self
    }

    pub(crate) fn remove_first(mut self, name: &str, count: usize) -> Self {
        // A name that the expression does not use is refused.
        if count == 0 {
            return self;
        }
        let name = self.name(name);
        // From the last one on, which is right whether or not places move up in between.
        self.remove.extend((0..count).rev().map(|index| format!("{name}[{index}]")));
        self
    }

    pub(crate) fn add_one(self, name: &str) -> Self {
        self.add(name, 1)
    }

    pub(crate) fn take_one(mut self, name: &str) -> Self {
        let (name, less) = (self.name(name), self.value("less", n(-1)));
        self.add.push(format!("{name} {less}"));
        self
    }

    pub(crate) fn add(mut self, name: &str, number: u64) -> Self {
        let (name, more) = (self.name(name), self.value("more", n(number)));
        self.add.push(format!("{name} {more}"));
        self
    }

    pub(crate) fn if_exists(mut self, path: &[&str]) -> Self {
        let path: Vec<String> = path.iter().map(|name| self.name(name)).collect();
        self.condition.push(format!("attribute_exists({})", path.join(".")));
        self
    }

    pub(crate) fn if_absent(mut self, name: &str) -> Self {
        let name = self.name(name);
        self.condition.push(format!("attribute_not_exists({name})"));
        self
    }

    pub(crate) fn if_equal(mut self, name: &str, value: AttributeValue) -> Self {
        let (name, value) = (self.name(name), self.value(&format!("seen_{name}"), value));
        self.condition.push(format!("{name} = {value}"));
        self
    }

    /// Adds a condition in the words of the expression language; names and values have been given to it before.
    pub(crate) fn if_holds(mut self, condition: String) -> Self {
        self.condition.push(condition);
        self
    }

    fn expression(&self) -> String {
        let part = |word: &str, parts: &[String]| {
            if parts.is_empty() { String::new() } else { format!("{word} {} ", parts.join(", ")) }
        };
        [part("SET", &self.set), part("REMOVE", &self.remove), part("ADD", &self.add)].concat().trim_end().to_owned()
    }
}

pub(crate) fn n(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

impl Store {
    /// Updates an item and gives it as it is then; `None`: the condition failed.
    pub(crate) async fn update(&self, key: &keys::Key, update: Update) -> Result<Option<Attributes>, Error> {
        let expression = update.expression();
        let condition = (!update.condition.is_empty()).then(|| update.condition.join(" AND "));
        let sent = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .update_expression(expression)
            .set_condition_expression(condition)
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values((!update.values.is_empty()).then_some(update.values))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew)
            .send()
            .await;
        match sent {
            Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(None)
            }
            Err(error) => Err(Error::call("UpdateItem", error)),
        }
    }
}
