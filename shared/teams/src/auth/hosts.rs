//! Which hosts may receive the bot's token.
//!
//! The bot sends its bearer token to the `serviceUrl` of an activity. Microsoft's SDKs no longer restrict that address, and
//! anybody can register a host under `.trafficmanager.net`, so we compare with exact hosts. The comparison is made on
//! the text as it was sent and not on a parsed URL: parsers map many spellings (full-width letters, backslashes, octal
//! addresses) to one host, and two parsers rarely agree on all of them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use url::Url;

/// The exact hosts that may receive the bot's token. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedHosts {
    entries: Arc<[Entry]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// A host name in lower case: https on the default port only.
    Https(String),
    /// This machine: http as well, on one port or on any.
    Loopback { host: String, port: Option<u16> },
}

/// The list of hosts cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// The list is empty: the bot could not answer anybody.
    #[error("no host is given")]
    None,
    /// An entry is something else than a host name or a loopback address.
    #[error("entry {position} is neither an exact host name nor a loopback address")]
    NotAHost {
        /// Counted from 1. The entry itself is not repeated.
        position: usize,
    },
}

/// A service URL that must not receive the bot's token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UntrustedServiceUrl {
    /// Not a plain `https://host/path`.
    #[error("the service URL is not a plain https address")]
    Malformed,
    /// The host, or its port or scheme, is not on the list.
    #[error("the service URL's host {host:?} is not on the list")]
    NotListed {
        /// The host as it was sent, if it can be shown; otherwise empty.
        host: String,
    },
}

impl TrustedHosts {
    /// Takes exact host names (https, default port) and loopback addresses (`localhost`, `127.0.0.1`, `[::1]`, each
    /// optionally with a port), for which http is allowed too.
    pub fn new(list: impl IntoIterator<Item = String>) -> Result<Self, BadHost> {
        let entries: Vec<Entry> = list
            .into_iter()
            .enumerate()
            .map(|(index, text)| Entry::read(&text).ok_or(BadHost::NotAHost { position: index + 1 }))
            .collect::<Result<_, _>>()?;
        if entries.is_empty() { Err(BadHost::None) } else { Ok(Self { entries: entries.into() }) }
    }

    /// Accepts `service_url` if the bot's token may be sent there.
    pub fn check(&self, service_url: &str) -> Result<Url, UntrustedServiceUrl> {
        let (scheme, rest) = service_url.split_once("://").ok_or(UntrustedServiceUrl::Malformed)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !self.entries.iter().any(|entry| entry.allows(scheme, authority)) {
            return Err(UntrustedServiceUrl::NotListed { host: showable(authority) });
        }
        let url = Url::parse(service_url).map_err(|_| UntrustedServiceUrl::Malformed)?;
        // What the parser changed or took for something else (dot segments, queries, escapes) is no plain path.
        let plain = url.path() == path || (path.is_empty() && url.path() == "/");
        if plain { Ok(url) } else { Err(UntrustedServiceUrl::Malformed) }
    }
}

impl Entry {
    fn read(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        if text.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()) {
            return Some(Self::Loopback { host: "[::1]".to_owned(), port: None });
        }
        let (host, port) = split_port(&text)?;
        if is_loopback(host) {
            return Some(Self::Loopback { host: host.to_owned(), port });
        }
        (port.is_none() && is_host_name(host)).then(|| Self::Https(host.to_owned()))
    }

    fn allows(&self, scheme: &str, authority: &str) -> bool {
        let https = scheme.eq_ignore_ascii_case("https");
        match self {
            Self::Https(host) => https && authority.eq_ignore_ascii_case(host),
            Self::Loopback { host, port } => {
                let known_scheme = https || scheme.eq_ignore_ascii_case("http");
                known_scheme
                    && split_port(authority).is_some_and(|(sent, sent_port)| {
                        sent.eq_ignore_ascii_case(host) && (port.is_none() || *port == sent_port)
                    })
            }
        }
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`; the port in plain decimal digits.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at_checked(host_end)?;
    if rest.is_empty() {
        return Some((host, None));
    }
    let digits = rest.strip_prefix(':')?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let port = plain.then(|| digits.parse().ok()).flatten()?;
    Some((host, Some(port)))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// Letters, digits and hyphens in labels; the last label must not look like a number, or a parser would see an address.
fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    host.len() <= 253 && host.split('.').all(is_label) && !numeric
}

fn showable(authority: &str) -> String {
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let shown = is_host_name(&host.to_ascii_lowercase()) && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    if shown { authority.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests;
