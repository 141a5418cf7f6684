//! Everything that the environment says, read once and checked at the start.

use std::ops::RangeInclusive;
use std::str::FromStr;

use domain::ids::TenantId;
use domain::storm::Rules;
use jiff::SignedDuration;
use pagerduty::Region;
use url::Url;

use crate::aws::AwsSettings;
use crate::mistake::Mistake;
use crate::source::Sources;

/// One environment variable, for the check, the README and the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    /// Its default; `None` if it must be given.
    pub default: Option<&'static str>,
    pub meaning: &'static str,
}

const fn required(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: None, meaning }
}

const fn optional(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: Some(default), meaning }
}

const WEBHOOK_SOURCES: &str = "PAGERBRIDGE_WEBHOOK_SOURCES";
const STORM_POSTS: &str = "PAGERBRIDGE_STORM_POSTS";
const STORM_QUIET_RATE: &str = "PAGERBRIDGE_STORM_QUIET_RATE";
const STORM_QUIET_MINUTES: &str = "PAGERBRIDGE_STORM_QUIET_MINUTES";
const STORM_CARDS_AFTER: &str = "PAGERBRIDGE_STORM_CARDS_AFTER";
const TOP_PRIORITIES: &str = "PAGERBRIDGE_TOP_PRIORITIES";
const LATE_MINUTES: &str = "PAGERBRIDGE_LATE_MINUTES";
const LINK_NUMBER: &str = "PAGERBRIDGE_LINK_NUMBER";

/// Every variable that PagerBridge reads, besides those of the AWS SDK and Lambda. The README's table is checked against it.
pub const VARIABLES: &[Variable] = &[
    required("PAGERBRIDGE_TABLE", "name of the DynamoDB table"),
    required("PAGERBRIDGE_QUEUE_URL", "URL of the SQS FIFO queue"),
    required("PAGERBRIDGE_SECRET_ID", "name or ARN of the secret in Secrets Manager"),
    required("PAGERBRIDGE_PUBLIC_URL", "external base URL of the HTTP API"),
    optional(
        "PAGERBRIDGE_RETENTION_DAYS",
        "90",
        "how long the audit, the delivery ledger and resolved incidents are kept, 1 to 3650 days",
    ),
    optional(
        WEBHOOK_SOURCES,
        "any",
        "comma list of the addresses and ranges (192.0.2.0/24) from which PagerDuty's webhooks may come",
    ),
    optional(STORM_POSTS, "10", "more new incidents due in a channel at once than this begin a storm, 1 to 1000"),
    optional(STORM_QUIET_RATE, "5", "a storm ends when fewer new incidents a minute than this come, 1 to 1000 …"),
    optional(STORM_QUIET_MINUTES, "5", "… for so many minutes, 1 to 120"),
    optional(STORM_CARDS_AFTER, "20", "so many open incidents get their own card when a storm is over, 0 to 100"),
    optional(
        TOP_PRIORITIES,
        "P1,SEV1,SEV-1",
        "comma list of the priorities that get their own card even in a storm, or none",
    ),
    optional(
        LATE_MINUTES,
        "10",
        "an incident that is over gets no card if it is older than this when it could be posted, 1 to 1440",
    ),
    optional(
        LINK_NUMBER,
        "true",
        "whether a link that is opened outside of Teams can be proven by a number that the person writes to the bot: true or false",
    ),
    required("TEAMS_APP_ID", "application (client) id of the bot's Entra application"),
    required("TEAMS_TENANT_ID", "tenant of the bot's Entra application"),
    optional("TEAMS_ALLOWED_TENANTS", "TEAMS_TENANT_ID", "comma list of the tenants whose people may use the bot"),
    optional(
        "TEAMS_OPENID_METADATA_URL",
        "https://login.botframework.com/v1/.well-known/openidconfiguration",
        "OpenID metadata of the Bot Connector",
    ),
    optional(
        "TEAMS_TOKEN_URL",
        "https://login.microsoftonline.com/<TEAMS_TENANT_ID>/oauth2/v2.0/token",
        "where the bot gets its token",
    ),
    optional(
        "TEAMS_TOKEN_SCOPE",
        "https://api.botframework.com/.default",
        "scope of the bot's token (differs in GCC High and DoD)",
    ),
    optional(
        "TEAMS_SERVICE_URL_HOSTS",
        "smba.trafficmanager.net",
        "comma list of exact hosts that may receive the bot's token",
    ),
    required("PAGERDUTY_CLIENT_ID", "client id of the scoped OAuth app"),
    required("PAGERDUTY_SUBDOMAIN", "subdomain of the PagerDuty account, as in <subdomain>.pagerduty.com"),
    optional("PAGERDUTY_REGION", "us", "service region of the account: us or eu"),
    optional("PAGERDUTY_API_URL", "from the region", "base URL of PagerDuty's REST API"),
    optional("PAGERDUTY_IDENTITY_URL", "from the region", "base URL of PagerDuty's OAuth"),
];

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `DynamoDB` table.
    pub table: String,
    pub queue_url: String,
    pub secret_id: String,
    /// External base URL, without a trailing slash in its path.
    pub public_url: Url,
    /// How long the audit, the delivery ledger and what is known of resolved incidents are kept.
    pub retention: SignedDuration,
    /// From where webhooks may come. In a stack only webhook-ingest is told, so that a mistake in it stops no other function.
    pub webhook_sources: Sources,
    /// When a storm begins and ends, and what is late.
    pub storm: Rules,
    /// Whether a number that the person writes to the bot proves who followed a personal link.
    pub link_number: bool,
    /// Lambda's name of this function; `None` outside of Lambda.
    pub function_name: Option<String>,
    pub teams_app_id: String,
    pub teams_tenant: TenantId,
    /// Tenants whose people may use the bot.
    pub allowed_tenants: Vec<TenantId>,
    pub openid_metadata_url: Url,
    pub teams_token_url: Url,
    pub teams_token_scope: String,
    /// Exact hosts that may receive the bot's token.
    pub service_url_hosts: Vec<String>,
    pub pagerduty_client_id: String,
    pub pagerduty_subdomain: String,
    pub pagerduty_region: Region,
    pub pagerduty_api_url: Url,
    pub pagerduty_identity_url: Url,
    pub aws: AwsSettings,
}

/// Everything that is wrong with the environment, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigError(pub Vec<Mistake>);

struct Reader<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn given(&self, name: &str) -> Option<String> {
        (self.read)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn text(&mut self, name: &'static str) -> String {
        self.given(name).unwrap_or_else(|| {
            self.mistakes.push(Mistake::Missing(name));
            String::new()
        })
    }

    fn parsed<T>(
        &mut self,
        name: &'static str,
        value: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(value);
        if parsed.is_none() {
            self.mistakes.push(Mistake::Malformed { name, expected });
        }
        parsed
    }

    /// A number from the variable, or else `default`. What is wrong is noted, and nothing is read with it.
    fn number(&mut self, name: &'static str, default: u32, range: RangeInclusive<u32>, expected: &'static str) -> u32 {
        let Some(text) = self.given(name) else { return default };
        let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.parsed(name, &text, expected, parse).unwrap_or(default)
    }

    /// Addresses and ranges from the variable. What is wrong is noted, and nothing is read with it.
    fn sources(&mut self, name: &'static str) -> Sources {
        let Some(list) = self.given(name) else { return Sources::default() };
        let entries = comma_list(&list);
        // Commas alone are a mistake and not "everybody".
        let read = if entries.is_empty() { Err(1) } else { Sources::new(&entries) };
        read.unwrap_or_else(|number| {
            let expected = "an IPv4 or IPv6 address, or a range such as 192.0.2.0/24";
            self.mistakes.push(Mistake::Entry { name, number, expected });
            Sources::default()
        })
    }

    /// An address from the variable, or else `default`. `http` is meant for stand-ins on the same machine.
    fn url(&mut self, name: &'static str, default: Option<&str>) -> Option<Url> {
        let Some(value) = self.given(name).or_else(|| default.map(str::to_owned)) else {
            self.mistakes.push(Mistake::Missing(name));
            return None;
        };
        self.parsed(name, &value, "an https address (http is accepted for a loopback host only)", usable_url)
    }
}

/// Whether an address leads to the machine itself.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn usable_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(Url::has_host)?;
    let scheme_ok = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    (scheme_ok && url.username().is_empty() && url.password().is_none() && url.query().is_none()).then_some(url)
}

fn comma_list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn storm_rules(env: &mut Reader<'_>) -> Rules {
    let usual = Rules::default();
    let minutes = |minutes: u32| SignedDuration::from_mins(i64::from(minutes));
    let list = |list: String| match comma_list(&list).as_slice() {
        [none] if none.eq_ignore_ascii_case("none") => Vec::new(),
        names => names.iter().map(|name| name.to_lowercase()).collect(),
    };
    let top = env.given(TOP_PRIORITIES).map(list);
    Rules {
        posts: env.number(STORM_POSTS, 10, 1..=1000, "a number from 1 to 1000") as usize,
        quiet_rate: env.number(STORM_QUIET_RATE, 5, 1..=1000, "a number from 1 to 1000"),
        quiet_for: minutes(env.number(STORM_QUIET_MINUTES, 5, 1..=120, "a number of minutes from 1 to 120")),
        cards_after: env.number(STORM_CARDS_AFTER, 20, 0..=100, "a number from 0 to 100") as usize,
        late_after: minutes(env.number(LATE_MINUTES, 10, 1..=1440, "a number of minutes from 1 to 1440")),
        top: top.unwrap_or(usual.top),
    }
}

impl Config {
    /// Reads the process's environment.
    pub fn from_process() -> Result<Self, ConfigError> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        Self::from_env(&|name| std::env::var(name).ok())
    }

    /// Reads the environment through `read`, which gives a variable's value.
    pub fn from_env(read: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut env = Reader { read, mistakes: Vec::new() };
        let table = env.text("PAGERBRIDGE_TABLE");
        let queue_url = env.text("PAGERBRIDGE_QUEUE_URL");
        let secret_id = env.text("PAGERBRIDGE_SECRET_ID");
        let public_url = env.url("PAGERBRIDGE_PUBLIC_URL", None);
        let days_text = env.given("PAGERBRIDGE_RETENTION_DAYS").unwrap_or_else(|| "90".to_owned());
        let days = env.parsed("PAGERBRIDGE_RETENTION_DAYS", &days_text, "a number of days from 1 to 3650", |text| {
            text.parse::<i64>().ok().filter(|days| (1..=3650).contains(days))
        });
        let retention = SignedDuration::from_hours(24 * days.unwrap_or(90));
        let webhook_sources = env.sources(WEBHOOK_SOURCES);
        let storm = storm_rules(&mut env);
        let number_text = env.given(LINK_NUMBER).unwrap_or_else(|| "true".to_owned());
        let number = env.parsed(LINK_NUMBER, &number_text, "true or false", |text| text.parse::<bool>().ok());
        let link_number = number.unwrap_or(true);
        // Lambda sets it; it is no setting.
        let function_name = env.given("AWS_LAMBDA_FUNCTION_NAME");
        let teams_app_id = env.text("TEAMS_APP_ID");
        let tenant_text = env.text("TEAMS_TENANT_ID");
        let tenants_text = env.given("TEAMS_ALLOWED_TENANTS").unwrap_or_else(|| tenant_text.clone());
        let tenant_id = |text: &str| TenantId::new(text).ok();
        let teams_tenant = if tenant_text.is_empty() {
            None
        } else {
            env.parsed("TEAMS_TENANT_ID", &tenant_text, "a tenant id", tenant_id)
        };
        let allowed_tenants =
            env.parsed("TEAMS_ALLOWED_TENANTS", &tenants_text, "a comma list of tenant ids", |list| {
                comma_list(list).iter().map(|text| tenant_id(text)).collect::<Option<Vec<_>>>()
            });
        let openid_metadata_url = env.url(
            "TEAMS_OPENID_METADATA_URL",
            Some("https://login.botframework.com/v1/.well-known/openidconfiguration"),
        );
        let default_token_url = format!("https://login.microsoftonline.com/{tenant_text}/oauth2/v2.0/token");
        let teams_token_url = env.url("TEAMS_TOKEN_URL", Some(&default_token_url));
        let teams_token_scope =
            env.given("TEAMS_TOKEN_SCOPE").unwrap_or_else(|| "https://api.botframework.com/.default".to_owned());
        let service_url_hosts =
            comma_list(&env.given("TEAMS_SERVICE_URL_HOSTS").unwrap_or_else(|| "smba.trafficmanager.net".to_owned()));
        let pagerduty_client_id = env.text("PAGERDUTY_CLIENT_ID");
        let pagerduty_subdomain = env.text("PAGERDUTY_SUBDOMAIN");
        let region_text = env.given("PAGERDUTY_REGION").unwrap_or_else(|| "us".to_owned());
        let region = env.parsed("PAGERDUTY_REGION", &region_text, "us or eu", |text| Region::from_str(text).ok());
        let pagerduty_region = region.unwrap_or(Region::Us);
        let pagerduty_api_url = env.url("PAGERDUTY_API_URL", Some(pagerduty_region.api_url()));
        let pagerduty_identity_url = env.url("PAGERDUTY_IDENTITY_URL", Some(pagerduty_region.identity_url()));
        let mut mistakes = env.mistakes;
        let aws = AwsSettings::from_env(read).map_err(|missing| mistakes.extend(missing)).ok();
        match (
            public_url,
            teams_tenant,
            allowed_tenants,
            openid_metadata_url,
            teams_token_url,
            pagerduty_api_url,
            pagerduty_identity_url,
            aws,
        ) {
            (
                Some(public_url),
                Some(teams_tenant),
                Some(allowed_tenants),
                Some(openid_metadata_url),
                Some(teams_token_url),
                Some(pagerduty_api_url),
                Some(pagerduty_identity_url),
                Some(aws),
            ) if mistakes.is_empty() => Ok(Self {
                table,
                queue_url,
                secret_id,
                public_url,
                retention,
                webhook_sources,
                storm,
                link_number,
                function_name,
                teams_app_id,
                teams_tenant,
                allowed_tenants,
                openid_metadata_url,
                teams_token_url,
                teams_token_scope,
                service_url_hosts,
                pagerduty_client_id,
                pagerduty_subdomain,
                pagerduty_region,
                pagerduty_api_url,
                pagerduty_identity_url,
                aws,
            }),
            _ => Err(ConfigError(mistakes)),
        }
    }

    /// An address of ours, as seen from outside.
    #[must_use]
    pub fn public(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn complete() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([
            ("PAGERBRIDGE_TABLE", "t"),
            ("PAGERBRIDGE_QUEUE_URL", "https://sqs/q.fifo"),
            ("PAGERBRIDGE_SECRET_ID", "s"),
            ("PAGERBRIDGE_PUBLIC_URL", "https://bridge.example.com/"),
            ("TEAMS_APP_ID", "app"),
            ("TEAMS_TENANT_ID", "tenant-1"),
            ("PAGERDUTY_CLIENT_ID", "client"),
            ("PAGERDUTY_SUBDOMAIN", "acme"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "key"),
        ])
    }

    fn read(env: &BTreeMap<&'static str, &'static str>) -> Result<Config, ConfigError> {
        Config::from_env(&|name| env.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn fills_in_the_defaults() {
        let config = read(&complete()).unwrap();
        assert_eq!(config.allowed_tenants, vec![TenantId::new("tenant-1").unwrap()]);
        assert_eq!(config.teams_token_url.as_str(), "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token");
        assert_eq!(config.service_url_hosts, vec!["smba.trafficmanager.net"]);
        assert_eq!(config.pagerduty_api_url.as_str(), "https://api.pagerduty.com/");
        assert_eq!(config.public("/oauth/start"), "https://bridge.example.com/oauth/start");
    }

    #[test]
    fn a_storms_thresholds_are_the_usual_ones_or_as_they_are_given() {
        assert_eq!(read(&complete()).unwrap().storm, Rules::default());
        let mut env = complete();
        env.extend([(STORM_POSTS, "3"), (STORM_QUIET_MINUTES, "1"), (TOP_PRIORITIES, "Sev A, P0")]);
        let rules = read(&env).unwrap().storm;
        let top = ["sev a", "p0"].map(str::to_owned).to_vec();
        assert_eq!(rules, Rules { posts: 3, quiet_for: SignedDuration::from_mins(1), top, ..Rules::default() });
        env.extend([(STORM_POSTS, "0"), (LATE_MINUTES, "soon")]);
        let mistakes = read(&env).unwrap_err().0;
        let malformed = |name, expected| Mistake::Malformed { name, expected };
        let expected = [
            malformed(STORM_POSTS, "a number from 1 to 1000"),
            malformed(LATE_MINUTES, "a number of minutes from 1 to 1440"),
        ];
        assert_eq!(mistakes, expected);
    }

    #[test]
    fn a_list_of_sources_is_read_whole_or_says_which_entry_is_wrong() {
        let mut env = complete();
        assert_eq!(read(&env).unwrap().webhook_sources, Sources::default());
        env.insert(WEBHOOK_SOURCES, "192.0.2.7, 198.51.100.0/24,2001:db8::1");
        assert_eq!(read(&env).unwrap().webhook_sources.count(), 3);
        env.insert(WEBHOOK_SOURCES, ",");
        assert!(read(&env).unwrap_err().to_string().contains("entry 1 of PAGERBRIDGE_WEBHOOK_SOURCES"));
        env.insert(WEBHOOK_SOURCES, "192.0.2.7, hunter2");
        let error = read(&env).unwrap_err().to_string();
        let expected =
            "entry 2 of PAGERBRIDGE_WEBHOOK_SOURCES is not an IPv4 or IPv6 address, or a range such as 192.0.2.0/24";
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn names_every_mistake_at_once() {
        let mut env = complete();
        env.remove("PAGERBRIDGE_TABLE");
        env.remove("AWS_REGION");
        env.insert("PAGERDUTY_REGION", "mars");
        env.insert("TEAMS_TOKEN_URL", "http://login.example.com/token");
        let mistakes = read(&env).unwrap_err().0;
        assert_eq!(
            mistakes,
            vec![
                Mistake::Missing("PAGERBRIDGE_TABLE"),
                Mistake::Malformed {
                    name: "TEAMS_TOKEN_URL",
                    expected: "an https address (http is accepted for a loopback host only)",
                },
                Mistake::Malformed { name: "PAGERDUTY_REGION", expected: "us or eu" },
                Mistake::Missing("AWS_REGION"),
            ]
        );
    }

    #[test]
    fn every_required_variable_is_missed() {
        for variable in VARIABLES.iter().filter(|v| v.default.is_none()) {
            let mut env = complete();
            env.remove(variable.name);
            assert_eq!(read(&env).unwrap_err().0.first(), Some(&Mistake::Missing(variable.name)), "{}", variable.name);
        }
    }

    #[test]
    fn an_error_never_repeats_a_value() {
        let mut env = complete();
        env.insert("PAGERDUTY_API_URL", "https://user:hunter2@api.pagerduty.com");
        assert!(!read(&env).unwrap_err().to_string().contains("hunter2"));
    }

    #[test]
    fn reads_the_eu_region_and_lists() {
        let mut env = complete();
        env.insert("PAGERDUTY_REGION", "eu");
        env.insert("TEAMS_ALLOWED_TENANTS", "tenant-1, tenant-2,");
        let config = read(&env).unwrap();
        assert_eq!(config.pagerduty_api_url.as_str(), "https://api.eu.pagerduty.com/");
        assert_eq!(config.allowed_tenants.len(), 2);
    }
}
