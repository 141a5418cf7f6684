//! Activities that the bot sends: what they must look like, and how they become messages.

use jiff::Timestamp;
use serde_json::Value;

use super::Options;
use super::card_check;
use super::connector::Refusal;
use super::model::{Message, State};

/// Teams docs: about 100 KB, counted in UTF-16 over the whole activity.
pub(super) const MOST_BYTES: usize = 100 * 1024;
const ADAPTIVE_CARD: &str = "application/vnd.microsoft.card.adaptive";

/// What the bot wants to appear.
#[derive(Debug)]
pub(super) enum Outgoing {
    Typing,
    Message(Content),
}

#[derive(Debug)]
pub(super) struct Content {
    text: Option<String>,
    summary: Option<String>,
    pub(super) card: Option<Value>,
    has_attachment: bool,
    /// Ids of those who are mentioned.
    pub(super) mentions: Vec<String>,
}

impl Content {
    /// Teams makes two messages of text plus attachment, and tells the id of neither.
    pub(super) fn is_split(&self) -> bool {
        self.text.is_some() && self.has_attachment
    }
}

pub(super) fn read(activity: &Value, bot_id: &str) -> Result<Outgoing, Refusal> {
    let text_of = |name: &str| activity.get(name).and_then(Value::as_str);
    if !activity.is_object() {
        return Err(Refusal::bad_syntax("The activity is no object."));
    }
    if activity.to_string().encode_utf16().count() * 2 > MOST_BYTES {
        return Err(Refusal::too_big());
    }
    if activity.pointer("/from/id").is_some_and(|from| from.as_str() != Some(bot_id)) {
        return Err(Refusal::bad_argument("from.id is not this bot."));
    }
    match text_of("type") {
        Some("message") => {}
        Some("typing") => return Ok(Outgoing::Typing),
        _ => return Err(Refusal::bad_syntax("The activity's type is neither message nor typing.")),
    }
    if activity.get("text").is_some_and(|text| !text.is_string() && !text.is_null()) {
        return Err(Refusal::bad_argument("text is no text."));
    }
    if text_of("textFormat").is_some_and(|format| !["plain", "markdown", "xml"].contains(&format)) {
        return Err(Refusal::bad_argument("textFormat is unknown."));
    }
    let attachments = match activity.get("attachments") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(list)) => list.as_slice(),
        Some(_) => return Err(Refusal::bad_argument("attachments is no list.")),
    };
    let cards = attachments.iter().map(card_of).collect::<Result<Vec<_>, _>>()?;
    let text = text_of("text").filter(|text| !text.trim().is_empty()).map(str::to_owned);
    if text.is_none() && attachments.is_empty() {
        return Err(Refusal::bad_syntax("Activity must include non empty 'text' field or at least 1 attachment"));
    }
    Ok(Outgoing::Message(Content {
        text,
        summary: text_of("summary").map(str::to_owned),
        card: cards.into_iter().flatten().next(),
        has_attachment: !attachments.is_empty(),
        mentions: mentions(activity)?,
    }))
}

/// Each mention must stand in the text as it is (Teams docs, "Mentions in bot messages").
fn mentions(activity: &Value) -> Result<Vec<String>, Refusal> {
    let entities = activity.get("entities").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let text = activity.get("text").and_then(Value::as_str).unwrap_or_default();
    let mentions = entities.iter().filter(|entity| entity.get("type").and_then(Value::as_str) == Some("mention"));
    mentions
        .map(|entity| {
            let named = entity.get("text").and_then(Value::as_str).filter(|named| text.contains(named));
            let id = entity.pointer("/mentioned/id").and_then(Value::as_str);
            match (named, id) {
                (Some(_), Some(id)) => Ok(id.to_owned()),
                _ => Err(Refusal::bad_argument("A mention has no id, or is not in the text.")),
            }
        })
        .collect()
}

fn card_of(attachment: &Value) -> Result<Option<Value>, Refusal> {
    match (attachment.get("contentType").and_then(Value::as_str), attachment.get("content")) {
        (Some(ADAPTIVE_CARD), Some(card)) => match card_check::mistakes(card).as_slice() {
            [] => Ok(Some(card.clone())),
            mistakes => Err(Refusal::bad_argument(&mistakes.join("; "))),
        },
        (Some(ADAPTIVE_CARD), None) => Err(Refusal::bad_argument("An Adaptive Card attachment has no content.")),
        (Some(kind), _) if kind.contains('/') => Ok(None),
        _ => Err(Refusal::bad_argument("An attachment has no contentType.")),
    }
}

/// Stores the content as a message of the bot and returns its id; for a split one, the id of the card.
pub(super) fn put(
    state: &mut State,
    options: &Options,
    conversation: &str,
    root: Option<String>,
    content: Content,
    now: Timestamp,
) -> String {
    let from = format!("28:{}", options.app_id);
    let split = content.is_split();
    let Content { text, summary, card, mentions, .. } = content;
    state.look_at_on_phone(card.as_ref());
    if split {
        let id = state.ids.message(now);
        store(state, Message { text: text.clone(), ..blank(&id, conversation, root.clone(), &from, now) });
    }
    let id = state.ids.message(now);
    let text = text.filter(|_| !split);
    store(state, Message { text, summary, card, mentions, ..blank(&id, conversation, root, &from, now) });
    id
}

pub(super) fn replace(message: &mut Message, content: Content, now: Timestamp) {
    message.edits.push(message.present());
    message.text = content.text;
    message.summary = content.summary;
    message.card = content.card;
    message.changed_at = now;
    // A new base message replaces what a click had put in its place for one user (Teams docs, "User Specific Views").
    message.views.clear();
}

/// A message without content, by the bot or a person.
pub(super) fn blank(id: &str, conversation: &str, root: Option<String>, from: &str, now: Timestamp) -> Message {
    Message {
        id: id.to_owned(),
        conversation: conversation.to_owned(),
        root,
        from_bot: from.starts_with("28:"),
        from: from.to_owned(),
        at: now,
        text: None,
        summary: None,
        card: None,
        mentions: Vec::new(),
        edits: Vec::new(),
        changed_at: now,
        deleted: false,
        views: std::collections::BTreeMap::new(),
        notices: Vec::new(),
    }
}

pub(super) fn store(state: &mut State, mut message: Message) {
    if message.from_bot {
        state.passing.watch.see(&mut message);
    }
    state.messages.insert(message.id.clone(), message);
}
