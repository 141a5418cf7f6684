//! Where a request comes from, and from where webhooks may come.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use ipnet::{IpNet, Ipv4Net};
use lambda_http::request::RequestContext;

/// The address of whoever has sent a request; `None`: not known.
///
/// In Lambda it is the one that API Gateway has seen, on a laptop that of the connection. Never a header: `X-Forwarded-For` is whatever
/// the sender likes it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source(pub Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Source {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let seen = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => {
                context.http.source_ip.as_ref().and_then(|address| address.parse().ok())
            }
            Some(_) => None,
            None => parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|connection| connection.0.ip()),
        };
        Ok(Self(seen))
    }
}

/// Addresses and ranges of addresses; none: everybody's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(Vec<IpNet>);

impl Sources {
    /// Reads addresses (`192.0.2.1`) and ranges (`192.0.2.0/24`). The error is the number of the first entry that is neither.
    pub(crate) fn new(entries: &[String]) -> Result<Self, usize> {
        let read = |entry: &String| {
            entry.parse().map(canonical).or_else(|_| entry.parse().map(|one: IpAddr| one.to_canonical().into()))
        };
        let read = entries.iter().enumerate().map(|(index, entry)| read(entry).map_err(|_| index + 1));
        read.collect::<Result<_, _>>().map(Self)
    }

    /// How many entries there are; 0: everybody may come.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether a request may come from there. If there is a list, it may not come from nowhere.
    #[must_use]
    pub fn admit(&self, source: Source) -> bool {
        // An IPv4 address may be written as an IPv6 one.
        let is_on_it = |address: IpAddr| self.0.iter().any(|range| range.contains(&address.to_canonical()));
        self.0.is_empty() || source.0.is_some_and(is_on_it)
    }
}

/// A range of IPv4 addresses that are written as IPv6 ones, as what it is: every address is compared in that form. (A wider one
/// than all of IPv4 stays one of IPv6, where nobody comes from.)
fn canonical(range: IpNet) -> IpNet {
    let IpNet::V6(wide) = range else { return range };
    let four = wide.addr().to_ipv4_mapped();
    let length = wide.prefix_len().checked_sub(96);
    four.zip(length).and_then(|(four, length)| Ipv4Net::new(four, length).ok()).map_or(range, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;

    use super::*;

    fn sources(list: &[&str]) -> Result<Sources, usize> {
        Sources::new(&list.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_list_admits_its_own_addresses_and_no_others() {
        let list = sources(&["192.0.2.7", "198.51.100.0/24", "2001:db8::/32", "203.0.113.9/32"]).unwrap();
        for (address, expected) in [
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("198.51.100.0", true),
            ("198.51.100.255", true),
            ("198.51.101.0", false),
            ("203.0.113.9", true),
            ("203.0.113.8", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.8", false),
        ] {
            assert_eq!(list.admit(Source(Some(address.parse().unwrap()))), expected, "{address}");
        }
        assert!(!list.admit(Source(None)), "nobody knows where it comes from");
        assert!(sources(&[]).unwrap().admit(Source(None)), "without a list everybody may come");
    }

    #[test]
    fn ipv4_ranges_that_are_written_as_ipv6_ones_are_ipv4_ranges() {
        for (entry, address, expected) in [
            ("::ffff:192.0.2.0/120", "192.0.2.7", true),
            ("::ffff:192.0.2.0/120", "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.0/120", "192.0.3.7", false),
            ("::ffff:c000:207", "192.0.2.7", true),
            ("::ffff:192.0.2.7/128", "192.0.2.8", false),
            ("::ffff:0:0/96", "203.0.113.9", true),
            ("::ffff:0:0/96", "2001:db8::1", false),
            // All of IPv6, and no more.
            ("::/0", "203.0.113.9", false),
            ("::ffff:0:0/90", "203.0.113.9", false),
        ] {
            let list = sources(&[entry]).unwrap();
            assert_eq!(list.admit(Source(Some(address.parse().unwrap()))), expected, "{address} of {entry}");
        }
    }

    #[test]
    fn what_is_neither_an_address_nor_a_range_is_named_by_its_place() {
        for (list, expected) in [
            (&["192.0.2.7", "192.0.2.0/33"][..], 2),
            (&["pagerduty.com"], 1),
            (&["192.0.2"], 1),
            (&["192.0.2.7:443"], 1),
            (&["2001:db8:/32"], 1),
            (&["2001::db8::/32"], 1),
            (&["1:2:3:4:5:6:7:8:9"], 1),
            (&["192.0.2.0/24", "2001:db8::/32", "192.0.2.0-192.0.2.9"], 3),
        ] {
            assert_eq!(sources(list), Err(expected), "{list:?}");
        }
    }

    #[tokio::test]
    async fn the_address_is_what_the_gateway_or_the_connection_says_and_never_a_header() {
        let gateway = |address: Option<&str>| {
            let mut context = ApiGatewayV2httpRequestContext::default();
            context.http.source_ip = address.map(str::to_owned);
            RequestContext::ApiGatewayV2(context)
        };
        let connection = ConnectInfo(SocketAddr::from(([198, 51, 100, 1], 4711)));
        for (name, gateway, connection, expected) in [
            ("in Lambda", Some(gateway(Some("192.0.2.7"))), None, Some("192.0.2.7")),
            ("in Lambda over IPv6", Some(gateway(Some("2001:db8::1"))), None, Some("2001:db8::1")),
            ("in Lambda and not known", Some(gateway(None)), Some(connection), None),
            ("in Lambda and no address", Some(gateway(Some("unknown"))), Some(connection), None),
            ("on a laptop", None, Some(connection), Some("198.51.100.1")),
            ("inside a process", None, None, None),
        ] {
            let mut request = Request::new(());
            for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
                request.headers_mut().insert(header, "203.0.113.9".parse().unwrap());
            }
            gateway.map(|context| request.extensions_mut().insert(context));
            connection.map(|connection| request.extensions_mut().insert(connection));
            let (mut parts, ()) = request.into_parts();
            let Ok(source) = Source::from_request_parts(&mut parts, &()).await;
            assert_eq!(source, Source(expected.map(|address| address.parse().unwrap())), "{name}");
        }
    }
}
