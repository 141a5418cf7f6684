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
/// `incident`, a reference to one, the data of an event that is about incidents, an incident's address.
#[must_use]
pub fn incident_in(body: &[u8]) -> Option<IncidentId> {
    let mut walk = Walk::default();
    walk.through(body);
    let address = || address(body).map(<[u8]>::to_vec);
    let id = walk.best.map(|(_, id)| id).or_else(address)?;
    IncidentId::new(String::from_utf8(id).ok()?).ok()
}

/// How much speaks for an id; the first is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Whole,
    UnderIncident,
    Reference,
    Data,
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
        let Some(rank) = self.rank(&ended).filter(|_| !is_reason && is_id(&ended.id)) else { return };
        // Of what is alike the outer one, which ends later.
        if self.best.as_ref().is_none_or(|(best, _)| rank <= *best) {
            self.best = Some((rank, ended.id));
        }
    }

    fn rank(&self, ended: &Open) -> Option<Rank> {
        match (ended.kind.as_slice(), ended.name.as_slice()) {
            (b"incident", _) => Some(Rank::Whole),
            (_, b"incident") => Some(Rank::UnderIncident),
            (b"incident_reference", _) => Some(Rank::Reference),
            (_, b"data") if !self.is_about_others => Some(Rank::Data),
            _ => None,
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
            b"event_type" => self.is_about_others = !text.starts_with(b"incident."),
            _ => {}
        }
        open.next.clear();
    }
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
fn address(body: &[u8]) -> Option<&[u8]> {
    let mut places = body.windows(PAGES.len()).enumerate().filter(|(_, window)| *window == PAGES);
    places.find_map(|(place, _)| {
        let rest = body.get(place + PAGES.len()..)?;
        let length = rest.iter().take(MAX_ID + 1).take_while(|byte| byte.is_ascii_alphanumeric()).count();
        // One that is cut off may be half of an id.
        rest.get(..length).filter(|id| is_id(id) && length < rest.len())
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
