use super::*;

fn hosts(list: &[&str]) -> TrustedHosts {
    TrustedHosts::new(list.iter().map(|host| (*host).to_owned())).unwrap()
}

/// Addresses that must not receive the bot's token, although `smba.trafficmanager.net` is listed.
const REFUSED: &str = include_str!("../../../../../tests/scenarios/corpora/service-urls.jsonl");

fn refused() -> Vec<String> {
    REFUSED.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_token_goes_to_no_other_host() {
    assert!(refused().len() >= 60);
    let listed = hosts(&["smba.trafficmanager.net"]);
    let accepted: Vec<_> = refused().into_iter().filter(|url| listed.check(url).is_ok()).collect();
    assert_eq!(accepted, Vec::<String>::new());
}

#[test]
fn a_listed_host_is_reached_in_any_region() {
    let listed = hosts(&["smba.trafficmanager.net", "SMBA.infra.gcc.teams.microsoft.com"]);
    for (sent, expected) in [
        ("https://smba.trafficmanager.net/amer/", "https://smba.trafficmanager.net/amer/"),
        ("https://smba.trafficmanager.net/teams", "https://smba.trafficmanager.net/teams"),
        ("https://smba.trafficmanager.net", "https://smba.trafficmanager.net/"),
        ("HTTPS://SMBA.TrafficManager.net/Amer/", "https://smba.trafficmanager.net/Amer/"),
        (
            "https://smba.trafficmanager.net/emea/7e4a0000-0000-4000-8000-0000000000aa/",
            "https://smba.trafficmanager.net/emea/7e4a0000-0000-4000-8000-0000000000aa/",
        ),
        ("https://smba.infra.gcc.teams.microsoft.com/teams", "https://smba.infra.gcc.teams.microsoft.com/teams"),
    ] {
        assert_eq!(listed.check(sent).map(String::from), Ok(expected.to_owned()), "{sent}");
    }
}

#[test]
fn http_is_for_this_machine_only() {
    for (entry, accepted, refused) in [
        (
            "localhost",
            vec!["http://localhost/_connector", "https://localhost/", "http://localhost:56150/_connector"],
            vec!["http://localhost.evil.com/", "http://127.0.0.1/", "ftp://localhost/", "http://localhost:/"],
        ),
        (
            "localhost:56150",
            vec!["http://localhost:56150/_connector"],
            vec![
                "http://localhost/",
                "http://localhost:56151/",
                "http://localhost:056150/",
                "http://localhost:56150x/",
            ],
        ),
        (
            "127.0.0.1",
            vec!["http://127.0.0.1:8080/connector/"],
            vec!["http://127.0.0.2/", "http://127.1/", "http://2130706433/", "http://x@127.0.0.1/"],
        ),
        ("[::1]:8080", vec!["http://[::1]:8080/c"], vec!["http://[::1]/", "http://[::2]:8080/", "http://[::1]x:8080/"]),
        ("::1", vec!["http://[::1]/", "http://[::1]:1/"], vec!["http://::1/"]),
    ] {
        let listed = hosts(&[entry]);
        for url in accepted {
            assert!(listed.check(url).is_ok(), "{entry} should allow {url}");
        }
        for url in refused {
            assert!(listed.check(url).is_err(), "{entry} should not allow {url}");
        }
    }
}

#[test]
fn an_entry_must_be_an_exact_host() {
    for entry in [
        "",
        " ",
        "*.trafficmanager.net",
        ".trafficmanager.net",
        "smba.trafficmanager.net.",
        "https://smba.trafficmanager.net",
        "smba.trafficmanager.net/amer",
        "smba.trafficmanager.net:443",
        "user@smba.trafficmanager.net",
        "smba trafficmanager net",
        "smb\u{430}.trafficmanager.net",
        "10.0.0.1",
        "169.254.169.254",
        "127.1",
        "example.0x7f",
        "[::2]",
        "[::1",
        "localhost:",
        "localhost:0",
        "localhost:70000",
        "-a.example.com",
        "a..example.com",
    ] {
        let list = ["smba.trafficmanager.net".to_owned(), entry.to_owned()];
        assert_eq!(TrustedHosts::new(list), Err(BadHost::NotAHost { position: 2 }), "{entry:?}");
    }
    assert_eq!(TrustedHosts::new([]), Err(BadHost::None));
}

#[test]
fn a_refusal_names_the_host_but_repeats_no_foreign_text() {
    let listed = hosts(&["smba.trafficmanager.net"]);
    let host_of = |url| match listed.check(url) {
        Err(UntrustedServiceUrl::NotListed { host }) => Some(host),
        Err(UntrustedServiceUrl::Malformed) | Ok(_) => None,
    };
    assert_eq!(
        host_of("https://smba.infra.gcc.teams.microsoft.com/teams"),
        Some("smba.infra.gcc.teams.microsoft.com".into())
    );
    assert_eq!(host_of("https://smba.trafficmanager.net:8443/"), Some("smba.trafficmanager.net:8443".into()));
    assert_eq!(host_of("https://user:secret@evil.com/"), Some(String::new()));
    assert_eq!(host_of("https://evil.com\u{202e}/"), Some(String::new()));
}
