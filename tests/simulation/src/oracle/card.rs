//! Reads a message of the bot's as a person reads it: by its words, and without any of the code that wrote them.

use serde_json::Value;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The card of one incident.
    Incident(Box<Shown>),
    /// A card of which only the incident's number is left.
    Left(u64),
    /// The card of a storm, or of what was over before the channel could be told.
    Storm(Box<Storm>),
    Other,
}

/// How an incident is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    pub number: u64,
    pub title: String,
    /// In small letters.
    pub status: String,
    pub is_high: bool,
    pub priority: Option<String>,
    pub service: String,
    /// Those whose names are shown; none on the card of a resolved one.
    pub assignees: Vec<String>,
    /// How many more of them there are.
    pub more_assignees: usize,
    pub is_merged: bool,
    /// Whether it says that it is not kept true any more.
    pub is_frozen: bool,
}

/// What a storm's card says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Storm {
    /// Which storm its buttons are about: of two cards that say the same, nobody sees that they are one storm's.
    pub id: Option<String>,
    pub counted: Counted,
    pub rows: Vec<Shown>,
}

/// What a storm's card counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    pub triggered_high: u64,
    pub triggered_low: u64,
    pub acknowledged: u64,
    pub resolved: u64,
}

/// What a card says.
#[must_use]
pub fn read(card: &Value) -> Look {
    let mut lines = Vec::new();
    collect(card.get("body").unwrap_or(&Value::Null), &mut lines);
    let line = |index: usize| lines.get(index).map(String::as_str).unwrap_or_default();
    if let Some(counted) = counted(line(1)) {
        let rows = lines.iter().zip(lines.iter().skip(1)).filter_map(|(name, how)| row(name, how)).collect();
        return Look::Storm(Box::new(Storm { id: storm_of(card), counted, rows }));
    }
    let is_frozen = lines.iter().any(|line| line.starts_with("No longer updated since "));
    if let Some(number) = line(0).strip_prefix("PagerDuty incident #").and_then(|number| number.parse().ok()) {
        return if is_frozen { Look::Left(number) } else { Look::Other };
    }
    match (facts(line(0)), named(line(1))) {
        (Some(facts), Some((number, title))) => {
            Look::Incident(Box::new(Shown { number, title: title.to_owned(), is_frozen, ..facts }))
        }
        _ => Look::Other,
    }
}

/// The incident that a text is about, and what follows its number: as in `#12 Disk is full`.
#[must_use]
pub fn named(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = text.strip_prefix('#')?.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// The texts of a card, from above.
fn collect(value: &Value, lines: &mut Vec<String>) {
    let Value::Object(element) = value else {
        value.as_array().into_iter().flatten().for_each(|one| collect(one, lines));
        return;
    };
    match element.get("type").and_then(Value::as_str) {
        Some("TextBlock") => lines.extend(element.get("text").and_then(Value::as_str).map(without_escapes)),
        Some("RichTextBlock") => {
            let runs = element.get("inlines").and_then(Value::as_array).into_iter().flatten();
            lines.push(runs.filter_map(|run| run.as_str().or_else(|| run.get("text")?.as_str())).collect());
        }
        _ => ["items", "columns"].iter().filter_map(|inner| element.get(*inner)).for_each(|one| collect(one, lines)),
    }
}

/// Markdown's backslashes are not seen.
fn without_escapes(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.peek() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => seen.extend(rest.next()),
            _ => seen.push(c),
        }
    }
    seen
}

/// As in `Triggered · P1 · High · Payments → Ada, Ben`, or `Resolved by Ada after 12 min · High · Payments`.
fn facts(line: &str) -> Option<Shown> {
    let mut parts = line.split(" · ");
    let first = parts.next()?;
    let status = first.split([' ', ',']).next()?;
    let status = ["Triggered", "Acknowledged", "Resolved"].into_iter().find(|known| *known == status)?.to_lowercase();
    let parts: Vec<&str> = parts.collect();
    let urgency = parts.iter().position(|part| ["High", "Low"].contains(part))?;
    let (before, after) = (parts.get(..urgency)?, parts.get(urgency + 1..)?.join(" · "));
    let (service, names) = match after.rsplit_once(" → ") {
        Some((service, names)) if status != "resolved" => (service, names),
        _ => (after.as_str(), ""),
    };
    let (names, more_assignees) = match names.strip_suffix(" more").and_then(|names| names.rsplit_once(" and ")) {
        Some((names, more)) if more.parse::<usize>().is_ok() => (names, more.parse().unwrap_or_default()),
        _ => (names, 0),
    };
    let names = names.split(", ").filter(|name| !name.is_empty() && *name != "nobody");
    Some(Shown {
        is_high: parts.get(urgency) == Some(&"High"),
        priority: (!before.is_empty()).then(|| before.join(" · ")),
        service: service.to_owned(),
        assignees: names.map(str::to_owned).collect(),
        more_assignees,
        is_merged: status == "resolved" && first.contains(", merged into "),
        status,
        ..Shown::default()
    })
}

/// As in `#12 Disk is full`, and under it `Triggered · low urgency · P3 · Payments`.
fn row(name: &str, how: &str) -> Option<Shown> {
    let (number, title) = named(name)?;
    let mut parts: Vec<&str> = how.split(" · ").collect();
    let status = parts.first()?.to_lowercase();
    if !["triggered", "acknowledged", "resolved"].contains(&status.as_str()) || parts.len() < 2 {
        return None;
    }
    let is_high = parts.get(1) != Some(&"low urgency");
    parts.drain(..if is_high { 1 } else { 2 });
    let service = parts.pop()?.to_owned();
    let priority = (!parts.is_empty()).then(|| parts.join(" · "));
    Some(Shown { number, title: title.to_owned(), status, is_high, priority, service, ..Shown::default() })
}

/// As in `12 open · 10 triggered (8 high, 2 low) · 2 acknowledged · 1,388 resolved`.
fn counted(line: &str) -> Option<Counted> {
    let before = |word: &str| -> Option<u64> {
        let start = line.get(..line.find(word)?)?;
        start.rsplit([' ', '(']).next()?.replace(',', "").parse().ok()
    };
    let triggered = before(" triggered")?;
    let (high, low) = (before(" high").unwrap_or(0), before(" low").unwrap_or(0));
    let counted = Counted {
        triggered_high: high,
        triggered_low: low,
        acknowledged: before(" acknowledged")?,
        resolved: before(" resolved")?,
    };
    (high + low == triggered).then_some(counted)
}

fn storm_of(card: &Value) -> Option<String> {
    match card {
        Value::Object(members) => match members.get("storm") {
            Some(Value::String(id)) => Some(id.clone()),
            _ => members.values().find_map(storm_of),
        },
        Value::Array(values) => values.iter().find_map(storm_of),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Whether a text that may have been cut short says the same as another one. Only letters and digits count: what else is shown of a
/// foreign text, and how, is not the oracle's concern.
#[must_use]
pub fn says(shown: &str, meant: &str) -> bool {
    let letters = |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric() && !is_filler(*c)).collect() };
    match shown.strip_suffix('…') {
        Some(start) => letters(meant).starts_with(&letters(start)),
        None => letters(shown) == letters(meant) || (letters(meant).is_empty() && shown.starts_with("(no ")),
    }
}

/// Letters that nobody sees.
fn is_filler(c: char) -> bool {
    matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(text: &str) -> Value {
        json!({ "type": "TextBlock", "text": text })
    }

    fn card(lines: &[&str]) -> Value {
        let (head, rest) = lines.split_at(lines.len().min(2));
        let mut body =
            vec![json!({ "type": "Container", "items": head.iter().map(|one| text(one)).collect::<Vec<_>>() })];
        body.extend(rest.iter().map(|line| json!({ "type": "RichTextBlock", "inlines": [{ "text": line }] })));
        json!({ "body": body })
    }

    fn incident(lines: &[&str]) -> Shown {
        match read(&card(lines)) {
            Look::Incident(shown) => *shown,
            other => panic!("{lines:?}: {other:?}"),
        }
    }

    #[test]
    fn an_incidents_card_says_how_it_is() {
        let known = incident(&["Triggered · P1 · High · Payments → Ada, Ben and 2 more", "#12 a\\*b", "23 Nov 2026"]);
        let expected = Shown {
            number: 12,
            title: "a*b".to_owned(),
            status: "triggered".to_owned(),
            is_high: true,
            priority: Some("P1".to_owned()),
            service: "Payments".to_owned(),
            assignees: vec!["Ada".to_owned(), "Ben".to_owned()],
            more_assignees: 2,
            is_merged: false,
            is_frozen: false,
        };
        assert_eq!(known, expected);
        let known = incident(&["Acknowledged · Low · Payments → nobody", "#3 x", "No longer updated since 1 Jan"]);
        assert_eq!(
            (known.status.as_str(), known.is_high, known.priority, known.assignees.len()),
            ("acknowledged", false, None, 0)
        );
        assert!(known.is_frozen);
        let known =
            incident(&["Resolved by Ada after 1 min, merged into #3, acknowledged by Ben · High · A → B", "#4 x"]);
        assert_eq!((known.status.as_str(), known.is_merged, known.service.as_str()), ("resolved", true, "A → B"));
    }

    #[test]
    fn what_is_no_card_of_an_incident_is_not_taken_for_one() {
        for lines in [&["Connected", "#12 is a nice name"][..], &["Triggered · High · A", "12 x"], &["Triggered"], &[]]
        {
            assert_eq!(read(&card(lines)), Look::Other, "{lines:?}");
        }
        assert_eq!(read(&card(&["PagerDuty incident #12", "No longer updated since 1 Jan"])), Look::Left(12));
    }

    #[test]
    fn a_storms_card_counts_and_has_rows() {
        let mut storm = card(&[
            "Incident storm: 12 open",
            "10 triggered (8 high, 2 low) · 2 acknowledged · 1,388 resolved",
            "Most urgent · rows open in PagerDuty",
            "#12 Disk is full",
            "Triggered · low urgency · P3 · Payments",
            "#13 Disk is empty",
            "Acknowledged · Payments",
            "and 10 more: Show list",
        ]);
        storm["actions"] = json!([{ "data": { "v": 1, "storm": "s-1" } }]);
        let Look::Storm(storm) = read(&storm) else { panic!("no storm") };
        let counted = Counted { triggered_high: 8, triggered_low: 2, acknowledged: 2, resolved: 1388 };
        assert_eq!((storm.id.as_deref(), storm.counted), (Some("s-1"), counted));
        let rows: Vec<_> = storm.rows.iter().map(|row| (row.number, row.is_high, row.priority.as_deref())).collect();
        assert_eq!(rows, [(12, false, Some("P3")), (13, true, None)]);
    }

    #[test]
    fn counts_of_one_urgency() {
        let counted =
            |line: &str| counted(line).map(|it| (it.triggered_high, it.triggered_low, it.acknowledged, it.resolved));
        assert_eq!(counted("3 triggered (3 low) · 0 acknowledged · 0 resolved"), Some((0, 3, 0, 0)));
        assert_eq!(counted("0 open · 0 triggered · 0 acknowledged · 7 resolved"), Some((0, 0, 0, 7)));
        assert_eq!(counted("#12 was triggered, acknowledged and resolved"), None);
    }

    #[test]
    fn a_text_that_was_cut_says_the_same() {
        for (shown, meant, expected) in [
            ("Disk is…", "Disk is full", true),
            ("Disk is", "Disk is full", false),
            ("{ { x } }", "{{\u{200B}x}}", true),
            ("(no title)", "\u{3164}", true),
            ("Disc…", "Disk is full", false),
        ] {
            assert_eq!(says(shown, meant), expected, "{shown}");
        }
    }
}
