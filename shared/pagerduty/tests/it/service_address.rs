use pagerduty::service_address::{BadAddress, parse};

const US: &str = "https://acme.pagerduty.com";
const EU: &str = "https://acme.eu.pagerduty.com/";
const LOCAL: &str = "http://127.0.0.1:8082";

fn outcome(text: &str, account: &str) -> Result<String, BadAddress> {
    parse(text, &account.parse().unwrap()).map(String::from)
}

#[test]
fn every_way_in_which_people_give_a_service() {
    for (text, account) in [
        ("https://acme.pagerduty.com/services/PABC123", US),
        ("https://acme.pagerduty.com/service-directory/PABC123", US),
        ("https://acme.pagerduty.com/service-directory/PABC123/", US),
        ("https://acme.pagerduty.com/service-directory/PABC123/activity?tab=all&x=a://b#top", US),
        ("https://acme.pagerduty.com/services/PABC123/integrations/PQ12345", US),
        ("https://acme.pagerduty.com/services/PABC123?team=P1", US),
        ("https://acme.pagerduty.com/services/PABC123#integrations", US),
        ("  <https://acme.pagerduty.com/services/PABC123>.\n", US),
        ("(\"https://acme.pagerduty.com/services/PABC123\")!?", US),
        ("“https://acme.pagerduty.com/services/PABC123”…", US),
        ("\u{200b}https://acme.pagerduty.com/services/PABC123\u{feff},", US),
        ("acme.pagerduty.com/services/PABC123", US),
        ("acme.pagerduty.com/services/PABC123?from=https://evil.example", US),
        ("//acme.pagerduty.com/services/PABC123", US),
        ("http://acme.pagerduty.com/services/PABC123", US),
        ("HTTPS://ACME.PagerDuty.COM/services/PABC123", US),
        ("https://acme.pagerduty.com./services/PABC123", US),
        ("https://acme.pagerduty.com:443/services/PABC123", US),
        ("https://acme.pagerduty.com/incidents/../services/PABC123", US),
        ("https://acme.eu.pagerduty.com/services/PABC123", EU),
        ("acme.eu.pagerduty.com/service-directory/PABC123;", EU),
        ("http://127.0.0.1:8082/services/PABC123", LOCAL),
        ("127.0.0.1:8082/service-directory/PABC123", LOCAL),
        ("http://pagerduty:8082/services/PABC123", "http://pagerduty:8082"),
    ] {
        assert_eq!(outcome(text, account).as_deref(), Ok("PABC123"), "{text:?}");
    }
    assert_eq!(outcome("https://acme.pagerduty.com/services/Q0ABCDEFGHIJKL", US).as_deref(), Ok("Q0ABCDEFGHIJKL"));
}

#[test]
fn what_is_no_address() {
    let long = format!("https://{}.example/services/PABC123", ["a"; 60].map(|_| "abcdef").join("."));
    for text in [
        "",
        " ",
        "<>",
        "Ticketing",
        "PABC123",
        "4711",
        "services/PABC123",
        "/services/PABC123",
        "https://",
        "https:///",
        "https:///acme.pagerduty.com/services/PABC123",
        "https:///mira@acme.pagerduty.com/services/PABC123",
        "///acme.pagerduty.com/services/PABC123",
        "https://acme.pagerduty.com /services/PABC123",
        "https://acme.pagerduty.com/services/PABC123 please",
        "https://acme.pager\nduty.com/services/PABC123",
        "https://acme.pagerduty.com\\@evil.example/services/PABC123",
        "https:\\\\acme.pagerduty.com\\services\\PABC123",
        "https:acme.pagerduty.com/services/PABC123",
        "https://acme.pagerduty.com:99999/services/PABC123",
        "https://acme.pagerduty.com:port/services/PABC123",
        "https://acme pagerduty.com/services/PABC123",
        "https://[::1/services/PABC123",
        "javascript:alert(1)",
        "javascript://acme.pagerduty.com/services/PABC123",
        "ftp://acme.pagerduty.com/services/PABC123",
        "file:///services/PABC123",
        "://acme.pagerduty.com/services/PABC123",
        &long,
    ] {
        assert_eq!(outcome(text, US), Err(BadAddress::NotAnAddress), "{text:?}");
    }
}

#[test]
fn another_account_is_not_this_one() {
    for (host, account) in [
        ("other.pagerduty.com", US),
        ("acme.eu.pagerduty.com", US),
        ("acme.pagerduty.com", EU),
        ("acme.acme.pagerduty.com", US),
        ("acme.pagerduty.com", LOCAL),
        ("pagerduty.com", US),
        ("www.pagerduty.com", US),
        ("api.pagerduty.com", US),
        ("eu.pagerduty.com", US),
        ("xn--cme-7cd.pagerduty.com", US),
    ] {
        let expected = BadAddress::ForeignAccount { host: host.to_owned() };
        for text in [format!("https://{host}/services/PABC123"), host.to_owned(), format!("{host}:8443/x")] {
            assert_eq!(outcome(&text, account), Err(expected.clone()), "{text:?}");
        }
    }
}

#[test]
fn what_only_looks_like_pagerduty() {
    for (written, host) in [
        ("acme.pagerduty.com.evil.example", "acme.pagerduty.com.evil.example"),
        ("acme-pagerduty.com", "acme-pagerduty.com"),
        ("acme.pagerduty.co", "acme.pagerduty.co"),
        ("pagerduty.co", "pagerduty.co"),
        ("acme.pagerduty.comm", "acme.pagerduty.comm"),
        ("ACME.PagerDuty.Example", "acme.pagerduty.example"),
        ("acme.notpagerduty.com", "acme.notpagerduty.com"),
        ("acme.pager-duty.com", "acme.pager-duty.com"),
        ("acme.pager.duty.com", "acme.pager.duty.com"),
        ("acme.p4gerduty.com", "acme.p4gerduty.com"),
        ("acme.pag3rduty.com", "acme.pag3rduty.com"),
        // The first a is Cyrillic.
        ("acme.p\u{430}gerduty.com", "acme.xn--pgerduty-16g.com"),
        ("acme.xn--pgerduty-16g.com", "acme.xn--pgerduty-16g.com"),
        ("acme.pagerduty.com%2eevil.example", "acme.pagerduty.com.evil.example"),
    ] {
        let expected = BadAddress::LookAlike { host: host.to_owned() };
        assert_eq!(outcome(&format!("https://{written}/services/PABC123"), US), Err(expected), "{written:?}");
    }
}

#[test]
fn other_hosts() {
    for (text, host) in [
        ("https://evil.example/services/PABC123", "evil.example"),
        ("https://evil.example/acme.pagerduty.com/services/PABC123", "evil.example"),
        ("https://evil.example?acme.pagerduty.com/services/PABC123", "evil.example"),
        ("https://evil.example#@acme.pagerduty.com/services/PABC123", "evil.example"),
        ("http://127.0.0.1/services/PABC123", "127.0.0.1"),
        ("http://[::1]:8082/services/PABC123", "[::1]"),
        ("acme.example.com", "acme.example.com"),
    ] {
        assert_eq!(outcome(text, US), Err(BadAddress::NotPagerDuty { host: host.to_owned() }), "{text:?}");
    }
}

#[test]
fn nothing_stands_in_front_of_the_host() {
    for (text, host) in [
        ("https://acme.pagerduty.com@evil.example/services/PABC123", "evil.example"),
        ("https://acme.pagerduty.com:443@evil.example/services/PABC123", "evil.example"),
        ("acme.pagerduty.com@evil.example/services/PABC123", "evil.example"),
        ("https://@evil.example/services/PABC123", "evil.example"),
        ("https://mira@acme.pagerduty.com/services/PABC123", "acme.pagerduty.com"),
        ("https://mira:secret@acme.pagerduty.com/services/PABC123", "acme.pagerduty.com"),
        ("https://@acme.pagerduty.com/services/PABC123", "acme.pagerduty.com"),
        ("mira@philharmonie.example", "philharmonie.example"),
        ("mailto:mira@acme.pagerduty.com", "acme.pagerduty.com"),
    ] {
        assert_eq!(outcome(text, US), Err(BadAddress::UserInfo { host: host.to_owned() }), "{text:?}");
    }
    // Behind the host an @ is an ordinary character.
    assert_eq!(outcome("https://acme.pagerduty.com/services/PABC123?by=a@b", US).as_deref(), Ok("PABC123"));
}

#[test]
fn another_port_is_another_server() {
    for (text, account, host, port) in [
        ("https://acme.pagerduty.com:8443/services/PABC123", US, "acme.pagerduty.com", 8443),
        ("https://acme.pagerduty.com:80/services/PABC123", US, "acme.pagerduty.com", 80),
        ("http://127.0.0.1:8083/services/PABC123", LOCAL, "127.0.0.1", 8083),
        ("http://127.0.0.1/services/PABC123", LOCAL, "127.0.0.1", 80),
    ] {
        assert_eq!(outcome(text, account), Err(BadAddress::WrongPort { host: host.to_owned(), port }), "{text:?}");
    }
}

#[test]
fn other_pages_are_no_services() {
    for path in [
        "/",
        "/services",
        "/services/",
        "/services/new",
        "/services/pabc123",
        "/services/P",
        "/services/7ABC",
        "/services/%50ABC123",
        "/services/P%20ABC",
        "/services//PABC123",
        "//services/PABC123",
        "/x/services/PABC123",
        "/Services/PABC123",
        "/service-directory",
        "/incidents/Q1BOXOFFICE77",
        "/escalation_policies/PABC123",
    ] {
        let text = format!("https://acme.pagerduty.com{path}#x");
        assert_eq!(outcome(&text, US), Err(BadAddress::NotAService { path: path.to_owned() }), "{text:?}");
    }
    let cut = format!("/{}…", "x".repeat(98));
    let text = format!("acme.pagerduty.com/{}", "x".repeat(5000));
    assert_eq!(outcome(&text, US), Err(BadAddress::NotAService { path: cut }));
}

#[test]
fn the_person_is_told_what_is_wrong_with_which_host() {
    for (text, said) in [
        ("Ticketing", "that is not a web address"),
        ("other.pagerduty.com/x", "other.pagerduty.com is not the PagerDuty account that is connected here"),
        ("acme-pagerduty.com/x", "acme-pagerduty.com is not PagerDuty, although it looks like it"),
        ("evil.example/x", "evil.example is not PagerDuty"),
        ("acme.pagerduty.com@evil.example", "the address leads to evil.example, with something else in front of it"),
        ("acme.pagerduty.com:1/x", "acme.pagerduty.com is right, but not with port 1"),
        ("acme.pagerduty.com/users/P1", "/users/P1 is not the page of a service"),
    ] {
        assert_eq!(outcome(text, US).unwrap_err().to_string(), said);
    }
}
