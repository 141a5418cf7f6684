//! The addresses that a button may open.

use domain::ids::{ActivityId, ChannelId, IncidentId};
use serde::Serialize;
use url::{Host, Url};

/// Longest address that we put on a button, in bytes.
const MAX_LINK_BYTES: usize = 1000;

/// An address that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Link(String);

impl Link {
    /// A page of PagerDuty: https at pagerduty.com or a host below it. A simulator on this machine may do without TLS.
    pub(crate) fn pagerduty(text: &str) -> Option<Self> {
        let url = parse(text)?;
        let trusted = match url.host()? {
            Host::Domain("localhost") => true,
            Host::Domain(name) => {
                url.scheme() == "https" && (name == "pagerduty.com" || name.ends_with(".pagerduty.com"))
            }
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
        };
        trusted.then(|| Self(url.into()))
    }

    /// The page of another incident of the same account: PagerDuty does not always name it.
    pub(crate) fn sibling(known: &str, incident: &IncidentId) -> Option<Self> {
        let mut url = parse(known)?;
        url.path_segments_mut().ok()?.pop_if_empty().pop().push(incident.as_str());
        url.set_query(None);
        url.set_fragment(None);
        Self::pagerduty(url.as_str())
    }

    /// One of our own pages. Where we are reached is the operator's decision, so any host will do.
    pub(crate) fn own(text: &str) -> Option<Self> {
        parse(text).map(|url| Self(url.into()))
    }

    /// A page that somebody outside has named, as in an alert; with its host, so that people see where it leads.
    pub(crate) fn foreign(text: &str) -> Option<(Self, String)> {
        let url = parse(text)?;
        let host = url.host_str()?.to_owned();
        Some((Self(url.into()), host))
    }

    /// A message in a channel (Teams docs, "Deep links": `/l/message/{channel}/{message}`).
    pub(crate) fn message(channel: &ChannelId, message: &ActivityId) -> Option<Self> {
        let mut url = Url::parse("https://teams.microsoft.com/l/message").ok()?;
        url.path_segments_mut().ok()?.extend([channel.as_str(), message.as_str()]);
        parse(url.as_str()).map(|url| Self(url.into()))
    }
}

fn parse(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    (plain && matches!(url.scheme(), "http" | "https") && url.as_str().len() <= MAX_LINK_BYTES).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pagerduty_over_tls_and_this_machine_are_linked() {
        let good = [
            "https://acme.pagerduty.com/incidents/Q1",
            "https://acme.eu.pagerduty.com/incidents/Q1",
            "https://pagerduty.com/",
            "http://127.0.0.1:8090/incidents/Q1",
            "http://[::1]:8090/",
            "http://localhost:8090/",
            "https://localhost/",
        ];
        for text in good {
            assert_eq!(Link::pagerduty(text), Some(Link(text.to_owned())), "{text}");
        }
        let bad = [
            "",
            "/incidents/Q1",
            "http://acme.pagerduty.com/",
            "https://pagerduty.com.evil.example/",
            "https://evilpagerduty.com/",
            "https://acme.pagerduty.com@evil.example/",
            "https://user:pass@acme.pagerduty.com/",
            "https://evil.example/?.pagerduty.com",
            "https://evil.example\\.pagerduty.com/",
            "javascript:alert(1)//acme.pagerduty.com",
            "http://10.0.0.1/",
            "http://localhost.evil.example/",
            "ftp://127.0.0.1/",
            "msteams://acme.pagerduty.com/",
        ];
        for text in bad {
            assert_eq!(Link::pagerduty(text), None, "{text}");
        }
        assert_eq!(Link::pagerduty(&format!("https://acme.pagerduty.com/{}", "a".repeat(MAX_LINK_BYTES))), None);
    }

    #[test]
    fn another_incident_is_beside_the_known_one() {
        let other = IncidentId::new("Q2").unwrap();
        for (known, expected) in [
            ("https://acme.pagerduty.com/incidents/Q1", Some("https://acme.pagerduty.com/incidents/Q2")),
            ("https://acme.pagerduty.com/incidents/Q1/?a#b", Some("https://acme.pagerduty.com/incidents/Q2")),
            ("https://evil.example/incidents/Q1", None),
            ("", None),
        ] {
            assert_eq!(Link::sibling(known, &other), expected.map(|url| Link(url.to_owned())), "{known}");
        }
        let odd = IncidentId::new("../\"?@evil.example").unwrap();
        let link = Link::sibling("https://acme.pagerduty.com/incidents/Q1", &odd).unwrap();
        assert!(link.0.starts_with("https://acme.pagerduty.com/incidents/..%2F"), "{link:?}");
    }

    #[test]
    fn our_own_pages_are_web_pages() {
        let table = [
            ("https://bridge.example/oauth/start?ticket=t", true),
            ("http://bridge:8080/", true),
            ("file:///etc/hosts", false),
            ("bridge.example", false),
        ];
        for (text, good) in table {
            assert_eq!(Link::own(text).is_some(), good, "{text}");
        }
    }

    #[test]
    fn a_message_is_addressed_by_channel_and_number() {
        let (channel, message) = (ChannelId::new("19:a/b?c@thread.tacv2").unwrap(), ActivityId::new("17955").unwrap());
        assert_eq!(
            Link::message(&channel, &message),
            Some(Link("https://teams.microsoft.com/l/message/19:a%2Fb%3Fc@thread.tacv2/17955".to_owned())),
        );
    }
}
