//! Lists: offset paging (REST docs, "Pagination") and the filters that repeat as `name[]`.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::{Answer, Call, Refusal, invalid, ok};

/// The parameters of every list that has pages.
pub(super) const PAGING: &[&str] = &["limit", "offset", "total"];

const USUAL_PAGE: usize = 25;
const LARGEST_PAGE: usize = 100;
/// Nothing behind this can be listed.
const LAST: usize = 10_000;

impl Call<'_> {
    /// The last value of a parameter.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter that may repeat.
    pub(super) fn many(&self, name: &str) -> Vec<&str> {
        self.query.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Every value of a parameter that may repeat, each one of these.
    pub(super) fn many_of(&self, name: &str, allowed: &[&str]) -> Result<Vec<&str>, Refusal> {
        let values = self.many(name);
        match values.iter().find(|value| !allowed.contains(value)) {
            Some(value) => Err(invalid(&format!("{name} cannot be {value}"))),
            None => Ok(values),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.one(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid(&format!("{name} must be true or false"))),
        }
    }

    pub(super) fn time(&self, name: &str) -> Result<Option<jiff::Timestamp>, Refusal> {
        let parsed = self.one(name).map(str::parse).transpose();
        parsed.map_err(|_| {
            let message = "Invalid 'since' or 'until' Parameter Values";
            super::refusal(axum::http::StatusCode::BAD_REQUEST, 2004, message, &[])
        })
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, Refusal> {
        self.one(name).map(str::parse).transpose().map_err(|_| invalid(&format!("{name} must be a number")))
    }

    /// One page of everything that was found, under the list's key.
    pub(super) fn page(&self, key: &str, found: &[Value]) -> Answer {
        self.page_of(key, found, Value::clone)
    }

    /// The same of a long list, of which only the page is written.
    pub(super) fn page_of<T>(&self, key: &str, found: &[T], written: impl Fn(&T) -> Value) -> Answer {
        let limit = self.number("limit")?.unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE);
        let offset = self.number("offset")?.unwrap_or(0);
        if offset + limit > LAST {
            return Err(invalid("offset and limit may not exceed 10000 together"));
        }
        let total = self.flag("total")?.then_some(found.len());
        let page: Vec<Value> = found.iter().skip(offset).take(limit).map(written).collect();
        let more = found.len() > offset + limit;
        ok(json!({ key: page, "limit": limit, "offset": offset, "more": more, "total": total }))
    }
}

/// `sort_by=created_at:desc`, and up to two fields; nothing changes if nothing is said.
pub(super) fn sort_by<T>(
    call: &Call<'_>,
    found: &mut [&T],
    order: impl Fn(&str) -> Option<fn(&T, &T) -> Ordering>,
) -> Result<(), Refusal> {
    let Some(sort_by) = call.one("sort_by") else { return Ok(()) };
    let fields: Vec<&str> = sort_by.split(',').collect();
    if fields.len() > 2 {
        return Err(invalid("sort_by has two fields at most"));
    }
    // Sorting is stable: the first field comes last and decides.
    for field in fields.into_iter().rev() {
        let (name, direction) = field.split_once(':').unwrap_or((field, "asc"));
        let is_descending = match direction {
            "asc" => false,
            "desc" => true,
            _ => return Err(invalid("the direction of sort_by is asc or desc")),
        };
        let compare = order(name).ok_or_else(|| invalid(&format!("sort_by cannot be {name}")))?;
        found.sort_by(|a, b| if is_descending { compare(b, a) } else { compare(a, b) });
    }
    Ok(())
}

/// `sort_by=name`, `name:asc` or `name:desc`.
pub(super) fn sort_by_name<T>(call: &Call<'_>, items: &mut [T], name: impl Fn(&T) -> String) -> Result<(), Refusal> {
    match call.one("sort_by") {
        None => {}
        Some("name" | "name:asc") => items.sort_by_key(&name),
        Some("name:desc") => {
            items.sort_by_key(&name);
            items.reverse();
        }
        Some(other) => return Err(invalid(&format!("sort_by cannot be {other}"))),
    }
    Ok(())
}
