//! Ids and secrets in the forms that PagerDuty uses. They come from a counter, so that a scenario with a fixed clock sees the
//! same ones on every run; none is given twice, also after a restart that kept the state.

use aws_lc_rs::digest::{SHA256, SHA384, digest};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const BASE_36: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Crockford's alphabet, which ULIDs are written in.
const BASE_32: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Neither even nor divisible by 3, so that multiplying modulo a power of 36 maps no two counts to one id.
const SCATTER: u128 = 98_765_432_109_876_543_211_379;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct IdSource {
    made: u64,
}

impl IdSource {
    fn next(&mut self) -> u128 {
        self.made += 1;
        u128::from(self.made)
    }

    /// `P` and six more: users, services, subscriptions and nearly everything else.
    pub(super) fn thing(&mut self) -> String {
        format!("P{}", scattered(self.next(), 6))
    }

    /// `Q` and thirteen more: incidents and log entries.
    pub(super) fn long(&mut self) -> String {
        format!("Q{}", scattered(self.next(), 13))
    }

    /// A ULID: sorts as its time does, and within one millisecond as it was made.
    pub(super) fn ulid(&mut self, at: Timestamp) -> String {
        let time = u128::try_from(at.as_millisecond()).unwrap_or_default();
        format!("{}{}", written(time, BASE_32, 10), written(self.next(), BASE_32, 16))
    }

    /// Workflow events have a decimal number of 38 digits instead of a ULID (real deliveries).
    pub(super) fn decimal(&mut self, at: Timestamp) -> String {
        format!("{:020}{:018}", at.as_millisecond(), self.next()).replacen('0', "3", 1)
    }

    pub(super) fn uuid(&mut self) -> String {
        let bytes = digest(&SHA256, format!("uuid/{}", self.next()).as_bytes());
        let hex: String = bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }

    /// What incidents get as a key that nobody gave one: 32 hex digits.
    pub(super) fn incident_key(&mut self) -> String {
        self.uuid().replace('-', "")
    }

    /// An OAuth token or code. The `+` is real: it breaks clients that do not encode their forms.
    pub(super) fn token(&mut self, prefix: &str) -> String {
        let bytes = digest(&SHA256, format!("{prefix}/{}", self.next()).as_bytes());
        format!("{prefix}+_0X{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// A REST API key: 20 characters.
    pub(super) fn api_key(&mut self) -> String {
        let bytes = digest(&SHA256, format!("key/{}", self.next()).as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes).chars().take(20).collect()
    }

    /// What webhooks are signed with: 64 characters that look like base64 and are used as they are.
    pub(super) fn webhook_secret(&mut self) -> String {
        BASE64_STANDARD.encode(digest(&SHA384, format!("webhook/{}", self.next()).as_bytes()))
    }
}

/// The key that monitoring tools send to an integration with: 32 hex digits.
pub(super) fn routing_key(integration: &str) -> String {
    let bytes = digest(&SHA256, format!("routing/{integration}").as_bytes());
    bytes.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn scattered(count: u128, length: u32) -> String {
    let all = 36_u128.pow(length);
    written(count * (SCATTER % all) % all, BASE_36, length)
}

fn written(mut number: u128, alphabet: &[u8], length: u32) -> String {
    let base = u128::try_from(alphabet.len()).unwrap_or(36);
    let mut letters: Vec<char> = (0..length)
        .map(|_| {
            let digit = usize::try_from(number % base).unwrap_or_default();
            number /= base;
            alphabet.get(digit).map_or('0', |letter| char::from(*letter))
        })
        .collect();
    letters.reverse();
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_well_formed() {
        let mut ids = IdSource::default();
        let at = Timestamp::from_millisecond(1_795_424_400_000).unwrap();
        let mut seen = BTreeSet::new();
        for _ in 0..20_000 {
            let (thing, long, key) = (ids.thing(), ids.long(), ids.incident_key());
            assert_eq!((thing.len(), long.len(), key.len()), (7, 14, 32));
            assert!(seen.insert(thing) && seen.insert(long) && seen.insert(key));
        }
        assert_eq!(ids.uuid().len(), 36);
        assert_eq!(ids.webhook_secret().len(), 64);
        assert_eq!(ids.api_key().len(), 20);
        let decimal = ids.decimal(at);
        assert!(decimal.len() == 38 && decimal.bytes().all(|digit| digit.is_ascii_digit()), "{decimal}");
    }

    #[test]
    fn ulids_sort_by_time_and_then_by_order() {
        let mut ids = IdSource::default();
        let made: Vec<String> = [5, 5, 6, 1_795_424_400_000]
            .map(|ms| ids.ulid(Timestamp::from_millisecond(ms).unwrap()))
            .into_iter()
            .collect();
        assert!(made.is_sorted() && made.iter().all(|id| id.len() == 26), "{made:?}");
    }
}
