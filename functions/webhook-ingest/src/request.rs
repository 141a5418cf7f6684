//! What a request says before anybody believes it: which subscription it names, what it is signed with, and its body.

use std::collections::BTreeSet;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::HeaderMap;
use domain::ids::SubscriptionId;
use pagerduty::webhook::{self, SignatureError};

use crate::answer::Ended;

/// Most that is taken in as a body of a subscription. PagerDuty drops its own above [`webhook::MAX_BODY_BYTES`], as it says.
const MOST_BYTES: usize = 1024 * 1024;

/// API Gateway passes nothing on that is longer.
const GATEWAY_BYTES: usize = 10 * 1024 * 1024;

/// How many subscriptions of one request are looked up, named in repeated headers or in a list that a proxy has made of them.
const MOST_NAMED: usize = 3;

/// What the headers say.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) subscriptions: BTreeSet<SubscriptionId>,
    /// `None`: there is none of a version that we know.
    pub(crate) signature: Option<String>,
    /// PagerDuty's name of the delivery.
    pub(crate) webhook: Option<String>,
}

impl Named {
    pub(crate) fn by(headers: &HeaderMap) -> Self {
        let subscriptions = values(headers, "x-webhook-subscription");
        let signatures = values(headers, "x-pagerduty-signature").join(",");
        let is_usable = !matches!(
            webhook::verify(&[], Some(&signatures), &[]),
            Err(SignatureError::Missing | SignatureError::Malformed)
        );
        Self {
            subscriptions: subscriptions.iter().filter_map(|id| id.parse().ok()).collect(),
            signature: Some(signatures).filter(|_| is_usable),
            webhook: values(headers, "x-webhook-id").into_iter().next(),
        }
    }

    /// Whether it names more than are looked up: one of ours may be among them.
    pub(crate) fn names_too_many(&self) -> bool {
        self.subscriptions.len() > MOST_NAMED
    }
}

/// All values of a header that are ASCII, of repeated ones and of lists.
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let ascii = values.filter_map(|value| std::str::from_utf8(value).ok().filter(|value| value.is_ascii()));
    ascii.map(|value| value.trim().to_owned()).collect()
}

/// The body of a delivery whose subscription is ours, or may be: it may have been made this second. It is read to its end, or who sends
/// it does not hear the answer.
pub(crate) async fn whole_body(body: Body) -> Result<Bytes, Ended> {
    let body = to_bytes(body, GATEWAY_BYTES).await.map_err(|_| Ended::BrokenOff)?;
    if body.len() > MOST_BYTES { Err(Ended::TooLong) } else { Ok(body) }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn named(name: &'static str, values: &[&[u8]]) -> Named {
        let header = |value: &&[u8]| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        Named::by(&values.iter().map(header).collect())
    }

    #[test]
    fn a_request_names_a_subscription_however_often_and_with_whatever_beside_it() {
        let cases: [(&[&[u8]], &[&str]); 14] = [
            (&[], &[]),
            (&[b"PWHS"], &["PWHS"]),
            (&[b" PWHS "], &["PWHS"]),
            (&[b"PWHS", b"POTHER"], &["POTHER", "PWHS"]),
            (&[b"PWHS, POTHER"], &["POTHER", "PWHS"]),
            (&[b"\xff\xfe", b"PWHS"], &["PWHS"]),
            (&[b"\xff,PWHS"], &["PWHS"]),
            (&[b"PWHS\xff"], &[]),
            (&[b"PWHS\xc3\xa9"], &[]),
            (&[b"PWHS", b"PWHS"], &["PWHS"]),
            (&[b"P WHS"], &[]),
            (&[b"P1,P2,P3"], &["P1", "P2", "P3"]),
            (&[b"P1,P1", b"P1", b"P1"], &["P1"]),
            (&[b"P1,P2,P3", b"PWHS"], &["P1", "P2", "P3", "PWHS"]),
        ];
        for (values, expected) in cases {
            let named = named("x-webhook-subscription", values);
            assert_eq!(named.names_too_many(), expected.len() > 3, "{values:?}");
            let found: Vec<String> = named.subscriptions.into_iter().map(String::from).collect();
            assert_eq!(found, expected, "{values:?}");
        }
    }

    #[test]
    fn a_signature_counts_whatever_stands_beside_it() {
        let good = format!("v1={}", "0".repeat(64));
        let good = good.as_bytes();
        let cases: [(&[&[u8]], bool); 8] = [
            (&[], false),
            (&[b""], false),
            (&[b"v2=00"], false),
            (&[b"v1=zz"], false),
            (&[b"v1=\xff"], false),
            (&[good], true),
            (&[b"v2=00", good], true),
            (&[b"\xff", good], true),
        ];
        for (values, expected) in cases {
            assert_eq!(named("x-pagerduty-signature", values).signature.is_some(), expected, "{values:?}");
        }
    }
}
