//! The address of a service's page, as a person pastes it from the browser: whose is it, and which service does it mean?
//!
//! Only the id is taken from it, and only if the address is one of the connected account. Everything else is refused with
//! a sentence that names the host, so that nobody connects a channel to what merely looks like their service.

use domain::ids::ServiceId;
use url::Url;

use crate::wire::bounded;

const PAGERDUTY: &str = "pagerduty.com";

/// RFC 1035 3.1, as text.
const MAX_HOST_BYTES: usize = 253;
const MAX_PATH: usize = 100;

/// What messages put in front of an address. The last three are invisible.
const LEADING: &[char] = &['<', '(', '[', '{', '"', '\'', '“', '‘', '«', '\u{200b}', '\u{2060}', '\u{feff}'];
/// What messages put behind an address.
const TRAILING: &[char] = &[
    '>', ')', ']', '}', '"', '\'', '”', '’', '»', '.', ',', ';', ':', '!', '?', '…', '\u{200b}', '\u{2060}', '\u{feff}',
];

/// Why a text is not the address of a service of this account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// No web address at all.
    #[error("that is not a web address")]
    NotAnAddress,
    /// Another account, or the account's name in the other region.
    #[error("{host} is not the PagerDuty account that is connected here")]
    ForeignAccount { host: String },
    /// A host that only resembles PagerDuty's.
    #[error("{host} is not PagerDuty, although it looks like it")]
    LookAlike { host: String },
    /// Any other host.
    #[error("{host} is not PagerDuty")]
    NotPagerDuty { host: String },
    /// Something stands before the host that can be taken for it: `https://acme.pagerduty.com@evil.example`.
    #[error("the address leads to {host}, with something else in front of it")]
    UserInfo { host: String },
    /// The right host, but not its web server.
    #[error("{host} is right, but not with port {port}")]
    WrongPort { host: String, port: u16 },
    /// A page of the account that is not a service's.
    #[error("{path} is not the page of a service")]
    NotAService {
        /// The address's path, at most 100 characters.
        path: String,
    },
}

/// The service that the address of one of its pages means. `account` is the account's web address.
///
/// # Errors
/// [`BadAddress`], whose text is for the person.
pub fn parse(text: &str, account: &Url) -> Result<ServiceId, BadAddress> {
    let text = text.trim().trim_start_matches(LEADING).trim_end_matches(TRAILING).trim();
    // The URL standard leaves out line breaks and takes a backslash for a slash: both hide where an address leads.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(BadAddress::NotAnAddress);
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
        // The slashes belong to the query.
        _ => (account.scheme(), text.strip_prefix("//").unwrap_or(text)),
    };
    let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    // The standard skips further slashes, and would find the host where nobody reads it.
    if !is_web || rest.starts_with('/') {
        return Err(BadAddress::NotAnAddress);
    }
    let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| BadAddress::NotAnAddress)?;
    check_host(&url, rest, account)?;
    let mut parts = url.path_segments().into_iter().flatten();
    match (parts.next(), parts.next()) {
        (Some("services" | "service-directory"), Some(id)) if is_id(id) => ServiceId::new(id).ok(),
        _ => None,
    }
    .ok_or_else(|| BadAddress::NotAService { path: bounded(url.path(), MAX_PATH) })
}

fn check_host(url: &Url, after_scheme: &str, account: &Url) -> Result<(), BadAddress> {
    // A full stop at the end means the same host (RFC 1034 3.1).
    let host = url.host_str().map(|host| host.strip_suffix('.').unwrap_or(host)).unwrap_or_default().to_owned();
    let is_account = account.host_str() == Some(&host);
    // Read from the text: the parsed address has lost an empty user name, and has made an address of a bare number.
    let written = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    if host.len() > MAX_HOST_BYTES || !(is_account || written.contains(['.', '['])) {
        return Err(BadAddress::NotAnAddress);
    }
    if written.contains('@') {
        return Err(BadAddress::UserInfo { host });
    }
    if !is_account {
        return Err(if host == PAGERDUTY || host.ends_with(&format!(".{PAGERDUTY}")) {
            BadAddress::ForeignAccount { host }
        } else if resembles_pagerduty(&host) {
            BadAddress::LookAlike { host }
        } else {
            BadAddress::NotPagerDuty { host }
        });
    }
    if url.port() == account.port() {
        return Ok(());
    }
    Err(BadAddress::WrongPort { host, port: url.port_or_known_default().unwrap_or_default() })
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// PagerDuty's name with other letters, digits or dots in and around it. No host of PagerDuty has letters beyond ASCII.
fn resembles_pagerduty(host: &str) -> bool {
    let is_punycode = host.split('.').any(|label| label.starts_with("xn--"));
    let plain = |c: char| match c {
        '-' | '_' | '.' => None,
        '4' => Some('a'),
        '3' => Some('e'),
        other => Some(other),
    };
    is_punycode || host.chars().filter_map(plain).collect::<String>().contains("pagerduty")
}

/// PagerDuty's ids are capitals and digits; `new` and other pages beside them are not.
fn is_id(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.len() > 1
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}
