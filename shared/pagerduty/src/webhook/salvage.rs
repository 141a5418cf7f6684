//! What can be told of a body that is no event as documented: which incident it is about.
//!
//! Only an id comes out of here, and PagerDuty is asked for the rest. So a body may be cut off, have bytes that are no text, or be as
//! deep and as long as it likes: it is walked through once, and what does not fit is walked past.

use domain::ids::IncidentId;

/// Objects this deep and deeper are walked past: an event names its incident long before.
const DEPTH: usize = 16;

/// PagerDuty's ids have 7 to 14 characters today.
const MAX_ID: usize = 40;

/// Where incidents have their pages, at PagerDuty's API and for people.
const PAGES: &[u8] = b"/incidents/";

/// The incident that a body seems to be about, readable or not. The likeliest one, best first: a whole incident, what stands under
/// `incident`, a reference to one, the data of an event that is about incidents, the address of that data, any incident's address. Data
/// of another type, such as a note, has an id of its own, which is the last to be believed.
#[must_use]
pub fn incident_in(body: &[u8]) -> Option<IncidentId> {
    let mut walk = Walk::default();
    walk.through(body);
    let is_about_others = walk.is_about_others;
    let (own, best): (Option<_>, Option<_>) = match walk.best {
        Some((Rank::Data | Rank::DataOfAnotherType, _)) if is_about_others => (None, None),
        Some((Rank::DataOfAnotherType, id)) => (Some(id), None),
        best => (None, best.map(|(_, id)| id)),
    };
    let id = best.or_else(|| address(body)).or(own)?;
    IncidentId::new(String::from_utf8(id).ok()?).ok()
}

/// How much speaks for an id; the first is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Whole,
    UnderIncident,
    Reference,
    Data,
    DataOfAnotherType,
}

/// An object that has not ended yet.
#[derive(Debug, Default)]
struct Open {
    /// The name under which it stands.
    name: Vec<u8>,
    /// The name whose value comes next.
    next: Vec<u8>,
    kind: Vec<u8>,
    id: Vec<u8>,
    /// The incident that its own address is of, or below.
    of: Vec<u8>,
}

#[derive(Debug, Default)]
struct Walk {
    /// The outermost ones.
    open: Vec<Open>,
    /// How many more there are inside of these.
    deeper: usize,
    /// Whether the event says that it is about something else than an incident.
    is_about_others: bool,
    best: Option<(Rank, Vec<u8>)>,
}

impl Walk {
    fn through(&mut self, body: &[u8]) {
        let mut rest = body;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match first {
                b'{' | b'[' => self.begin(),
                b'}' | b']' => self.end(),
                b'"' => {
                    // Half of an id is none.
                    let Some((text, after)) = text(rest) else { break };
                    rest = after;
                    let is_name = rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
                    self.take(text, is_name);
                }
                _ => {}
            }
        }
        // What is cut off ends nowhere.
        while !self.open.is_empty() {
            self.end();
        }
    }

    fn begin(&mut self) {
        if self.open.len() == DEPTH {
            self.deeper += 1;
            return;
        }
        // What stands in a list stands under the list's name.
        let name = self.open.last().map(|open| if open.next.is_empty() { &open.name } else { &open.next });
        let name = name.cloned().unwrap_or_default();
        self.open.push(Open { name, ..Open::default() });
    }

    fn end(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        let Some(ended) = self.open.pop() else { return };
        if let Some(around) = self.open.last_mut() {
            around.next.clear();
        }
        // A merge names the incident that an incident has gone into.
        let is_reason = self.open.iter().any(|around| around.name == b"resolve_reason");
        let Some((rank, id)) = named(ended).filter(|(_, id)| !is_reason && is_id(id)) else { return };
        // Of what is alike the outer one, which ends later.
        if self.best.as_ref().is_none_or(|(best, _)| rank <= *best) {
            self.best = Some((rank, id));
        }
    }

    fn take(&mut self, text: &[u8], is_name: bool) {
        if self.deeper > 0 {
            return;
        }
        let Some(open) = self.open.last_mut() else { return };
        if is_name {
            open.next = text.get(..text.len().min(MAX_ID)).unwrap_or_default().to_vec();
            return;
        }
        match open.next.as_slice() {
            b"id" => open.id = text.get(..text.len().min(MAX_ID + 1)).unwrap_or_default().to_vec(),
            b"type" => open.kind = text.get(..text.len().min(MAX_ID)).unwrap_or_default().to_vec(),
            b"self" | b"html_url" if open.of.is_empty() => {
                open.of = address(&[text, b"\""].concat()).unwrap_or_default();
            }
            b"event_type" => self.is_about_others = !text.starts_with(b"incident."),
            _ => {}
        }
        open.next.clear();
    }
}

/// The incident that an object names. One whose id is none may have an address.
fn named(ended: Open) -> Option<(Rank, Vec<u8>)> {
    let Open { name, kind, id, of, .. } = ended;
    let id_or_of = if is_id(&id) { id.clone() } else { of.clone() };
    match (kind.as_slice(), name.as_slice()) {
        (b"incident", _) => Some((Rank::Whole, id_or_of)),
        (_, b"incident") => Some((Rank::UnderIncident, id_or_of)),
        (b"incident_reference", _) => Some((Rank::Reference, id_or_of)),
        // A note is at its incident's address, and an incident at its own.
        (_, b"data") if is_id(&of) => Some((Rank::Data, of)),
        (kind, b"data") if is_type(kind) => Some((Rank::DataOfAnotherType, id)),
        (_, b"data") => Some((Rank::Data, id)),
        _ => None,
    }
}

/// Whether a type can be read. One that cannot may be an incident's.
fn is_type(kind: &[u8]) -> bool {
    !kind.is_empty() && kind.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_')
}

/// What stands until the quotation mark that ends a text, and what comes behind it.
fn text(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut is_escaped = false;
    let end = from.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.and_then(|end| Some((from.get(..end)?, from.get(end + 1..)?)))
}

fn is_id(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= MAX_ID && id.iter().all(u8::is_ascii_alphanumeric)
}

/// The id in the first address of an incident, wherever it stands.
fn address(body: &[u8]) -> Option<Vec<u8>> {
    // JSON may escape a slash.
    let body: Vec<u8> = body.iter().copied().filter(|byte| *byte != b'\\').collect();
    let mut places = body.windows(PAGES.len()).enumerate().filter(|(_, window)| *window == PAGES);
    places.find_map(|(place, _)| {
        let rest = body.get(place + PAGES.len()..)?;
        let length = rest.iter().take(MAX_ID + 1).take_while(|byte| byte.is_ascii_alphanumeric()).count();
        // One that is cut off may be half of an id.
        rest.get(..length).filter(|id| is_id(id) && length < rest.len()).map(<[u8]>::to_vec)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(body: impl AsRef<[u8]>) -> Option<String> {
        incident_in(body.as_ref()).map(String::from)
    }

    const WHOLE: &str = r#"{"event":{"id":"01E","event_type":"incident.triggered","agent":{"id":"PUSER","type":"user_reference"},"data":{"id":"PINC","type":"incident","self":"https://api.pagerduty.com/incidents/PINC","title":"a \"title\" with {[ in it","service":{"id":"PSVC","type":"service_reference"},"resolve_reason":{"type":"merge_resolve_reason","incident":{"id":"POTHER","type":"incident_reference"}}}}}"#;

    const NOTE: &str = r#"{"event":{"id":"01E","event_type":"incident.annotated","data":{"id":"PNOTE","type":"incident_note","content":"looking","self":"https://api.pagerduty.com/incidents/PINC/notes/PNOTE","incident":{"id":null}}}}"#;

    #[test]
    fn the_incident_is_found_in_what_is_no_event() {
        let deep = "[".repeat(400_000);
        let long = "x".repeat(900_000);
        for (name, body, expected) in [
            ("a whole event", WHOLE.to_owned(), Some("PINC")),
            ("one that names its type first", r#"{"data":{"type":"incident","id":"PINC"}}"#.to_owned(), Some("PINC")),
            ("a note", r#"{"event":{"event_type":"incident.annotated","data":{"id":"PNOTE","type":"incident_note","incident":{"id":"PINC"}}}}"#.to_owned(), Some("PINC")),
            (
                "roles",
                r#"{"data":{"incident_role_assignments":[{"id":"PROLE","incident":{"id":"PINC","type":"incident_reference"}}]}}"#.to_owned(),
                Some("PINC"),
            ),
            ("a note whose incident has no id", NOTE.to_owned(), Some("PINC")),
            ("a note whose incident is not told", NOTE.replace(r#","incident":{"id":null}"#, ""), Some("PINC")),
            ("a note that tells of another incident first", NOTE.replace("looking", "see https://acme.pagerduty.com/incidents/POTHER,"), Some("PINC")),
            ("a note without a type", NOTE.replace(r#""type":"incident_note""#, r#""type":null"#), Some("PINC")),
            ("a note with escaped slashes", NOTE.replace('/', r"\/"), Some("PINC")),
            ("a note with the incident's address elsewhere", NOTE.replace("self", "at"), Some("PINC")),
            ("an incident that has an address and no id", NOTE.replace(r#""id":null"#, r#""id":null,"self":"https://x/incidents/PINC""#).replace("/incidents/PINC/notes", "/notes"), Some("PINC")),
            ("a new type without any address", r#"{"event":{"event_type":"incident.sang","data":{"id":"PINC","type":"incident_song"}}}"#.to_owned(), Some("PINC")),
            ("a new type whose title has another incident's address", WHOLE.replace(r#""type":"incident","#, r#""type":"incident_v4","#).replace("in it", "like https://x/incidents/POTHER in it"), Some("PINC")),
            ("data of others that says so later", r#"{"event":{"data":{"id":"PSVC","type":"service"},"event_type":"service.updated"}}"#.to_owned(), None),
            ("data of another type", WHOLE.replace(r#""type":"incident","#, r#""type":7,"#), Some("PINC")),
            ("an id that is none", WHOLE.replace(r#""id":"PINC""#, r#""id":null"#), Some("PINC")),
            ("no envelope", r#"{"id":"PINC","type":"incident"}"#.to_owned(), Some("PINC")),
            ("blanks everywhere", "{ \"data\" :\n{ \"id\" : \"PINC\" , \"type\" : \"incident\" } }".to_owned(), Some("PINC")),
            ("a byte order mark", format!("\u{feff}{WHOLE}"), Some("PINC")),
            ("deep in front", format!(r#"{{"x":{deep},{}"#, &WHOLE[1..]), Some("PINC")),
            ("deep behind", format!("{}{deep}", &WHOLE[..WHOLE.len() - 2]), Some("PINC")),
            ("long in front", format!(r#"{{"x":"{long}",{}"#, &WHOLE[1..]), Some("PINC")),
            ("an address in rubbish", r#"\\"""{ https://acme.pagerduty.com/incidents/PINC>"#.to_owned(), Some("PINC")),
            ("only the incident that it was merged into", r#"{"data":{"resolve_reason":{"incident":{"id":"POTHER"}}}}"#.to_owned(), None),
            ("a service", r#"{"event":{"event_type":"service.updated","data":{"id":"PSVC","type":"service"}}}"#.to_owned(), None),
            ("an address of a list", "https://api.pagerduty.com/incidents/?x".to_owned(), None),
            ("an id that is too long", format!(r#"{{"data":{{"id":"{}","type":"incident"}}}}"#, "P".repeat(41)), None),
            ("nothing", String::new(), None),
        ] {
            assert_eq!(found(&body).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_walked_past() {
        let broken =
            [&br#"{"title":"caf"#[..], b"\xe9\xff\xc3", br#"","data":{"id":"PINC","type":"incident"}"#].concat();
        assert_eq!(found(broken).as_deref(), Some("PINC"));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(body in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = incident_in(&body);
        }

        #[test]
        fn what_is_cut_off_behind_the_id_tells_it(kept in 0..WHOLE.len()) {
            let told = WHOLE.find(r#""PINC""#).unwrap() + r#""PINC""#.len();
            let found = found(&WHOLE[..kept]);
            prop_assert_eq!(found.as_deref(), (kept >= told).then_some("PINC"));
        }
    }
}
