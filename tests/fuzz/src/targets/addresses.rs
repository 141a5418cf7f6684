//! Addresses that come from outside: where Teams wants to be answered, and what a person pastes.

use pagerduty::service_address;
use teams::auth::TrustedHosts;
use url::Url;

use crate::engine::outcome;

const HOSTS: &[&str] = &["smba.trafficmanager.net", "smba.infra.gcc.teams.microsoft.com", "127.0.0.1:4"];

/// The bot's token goes there.
pub(super) fn service_url(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let hosts = TrustedHosts::new(HOSTS.iter().map(|host| (*host).to_owned()));
    let hosts = hosts.unwrap_or_else(|error| panic!("{error}"));
    let checked = hosts.check(&text);
    outcome(checked.as_ref().map(|url| url.path().len()).map_err(ToString::to_string));
    let Ok(url) = checked else { return };
    // Read in another way: nothing but letters of a known host between the scheme and the first slash.
    let rest = text.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    assert!(HOSTS.contains(&authority.as_str()), "{text:?} is said to be at {authority:?}");
    let host = url.host_str().unwrap_or_default();
    assert!(
        authority == host || authority == format!("{host}:{}", url.port().unwrap_or_default()),
        "{text:?} leads to {host}"
    );
    assert!(url.scheme() == "https" || host == "127.0.0.1", "{text:?} without TLS");
    assert!(url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none());
    // Whoever joins a path to it stays there.
    let joined = url.join("v3/conversations").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((joined.host_str(), joined.port()), (url.host_str(), url.port()));
    // A list of hosts that is read from a text is no wider than the text.
    if let Ok(of_text) = TrustedHosts::new([text.to_string()]) {
        assert!(of_text.check("https://evil.example/").is_err());
    }
}

/// The page of a service, as a person pastes it.
pub(super) fn service_address(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let account = Url::parse("https://acme.pagerduty.com/").unwrap_or_else(|error| panic!("{error}"));
    let read = service_address::parse(&text, &account);
    assert_eq!(read, service_address::parse(&text, &account), "read twice");
    outcome(read.as_ref().map(|_| ()).map_err(std::mem::discriminant));
    match read {
        Ok(service) => {
            assert!(text.contains(service.as_str()), "{service} is not in {text:?}");
            // Other letters may mean the same host: a browser goes there as well.
            let is_same = text.to_ascii_lowercase().contains("acme.pagerduty.com") || !text.is_ascii();
            assert!(is_same, "{text:?} is not of the account");
            assert!(!text.contains(['@', '\\']) || text.find('@') > text.find("acme."), "{text:?}");
        }
        Err(error) => assert!(error.to_string().len() <= 1_000, "{} bytes of an error", error.to_string().len()),
    }
}
