//! The Teams app package: a manifest that is made of the bot's own command table, and the icons.

use std::io::{Cursor, Write as _};

use cards::{COMMANDS, Command, Place};
use serde_json::{Value, json};
use url::{Host, Url};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The newest schema that Microsoft's repository has published; the first with `supportsChannelFeatures` was 1.25. 1.30, so far
/// in Microsoft's npm package only, changes nothing but mail add-ins: no reason to need a tenant that knows it.
const SCHEMA: &str = "1.29";

/// A list of commands has at most this many (manifest schema, `bots.commandLists.commands`).
const MOST_COMMANDS: usize = 12;

const SHORT: &str = "PagerDuty incidents in Teams channels, with one click to act on them.";
const FULL: &str = "PagerBridge posts the incidents of your PagerDuty services as cards in your channels and keeps them \
                    true. Link your accounts once, and acknowledge, resolve, annotate and trigger incidents from Teams as \
                    yourself.";

const ICONS: [(&str, &[u8]); 3] = [
    ("color.png", include_bytes!("../icons/color.png")),
    ("outline.png", include_bytes!("../icons/outline.png")),
    ("color32x32.png", include_bytes!("../icons/color32x32.png")),
];

/// What the operator says.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The bot's Entra application.
    pub app_id: String,
    /// Host of the public URL.
    pub domain: String,
    /// The Teams app's own id; the bot's if not given.
    pub teams_app_id: Option<String>,
    /// What people see.
    pub name: String,
    /// Who runs it.
    pub developer_name: String,
    /// Where people read about it; the configuration page if not given.
    pub website: Option<String>,
    /// Privacy statement; the website if not given.
    pub privacy_url: Option<String>,
    /// Terms of use; the website if not given.
    pub terms_url: Option<String>,
    /// Version of the package, as in 1.2.3.
    pub version: String,
}

/// What cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Not an id of Entra.
    #[error("--{0} is not a GUID, as in 11111111-2222-4333-8444-555555555555")]
    Guid(&'static str),
    /// Not the name of a host.
    #[error("--domain is not a host name, as in bridge.example.com (no https://, no path, no port)")]
    Domain,
    /// Not an address that Teams accepts.
    #[error("--{0} is not an https address, as in https://example.com/help (no password, at most 2048 characters)")]
    Address(&'static str),
    /// Empty, longer than the schema allows, or with line breaks and the like.
    #[error("--{what} must have 1 to {most} characters, all of them printable")]
    Length {
        /// Which argument.
        what: &'static str,
        /// How many characters it may have.
        most: usize,
    },
    /// Not a version.
    #[error("--app-version is not three numbers, as in 1.2.3")]
    Version,
}

/// A package that was not written.
#[derive(Debug, thiserror::Error)]
#[error("the package cannot be written")]
pub struct NotWritten(#[from] zip::result::ZipError);

impl From<std::io::Error> for NotWritten {
    fn from(error: std::io::Error) -> Self {
        Self(error.into())
    }
}

/// A checked package.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    manifest: Value,
}

impl Package {
    /// Checks what the operator says and makes the manifest.
    ///
    /// # Errors
    /// [`Mistake`] names the first argument that cannot be used.
    pub fn new(wanted: &Wanted) -> Result<Self, Mistake> {
        let bot = guid("app-id", &wanted.app_id)?;
        let id = wanted.teams_app_id.as_deref().map_or(Ok(bot.clone()), |id| guid("teams-app-id", id))?;
        let domain = host(&wanted.domain)?;
        let name = bounded("name", &wanted.name, 30)?;
        let developer = bounded("developer-name", &wanted.developer_name, 32)?;
        let version = version(&wanted.version)?;
        let website = match &wanted.website {
            Some(url) => address("website", url)?,
            None => format!("https://{domain}/admin"),
        };
        let or_website =
            |what, url: &Option<String>| url.as_ref().map_or(Ok(website.clone()), |url| address(what, url));
        let (privacy, terms) =
            (or_website("privacy-url", &wanted.privacy_url)?, or_website("terms-url", &wanted.terms_url)?);
        let manifest = json!({
            "$schema": format!("https://developer.microsoft.com/json-schemas/teams/v{SCHEMA}/MicrosoftTeams.schema.json"),
            "manifestVersion": SCHEMA,
            "version": version,
            "id": id,
            "developer": {
                "name": developer,
                "websiteUrl": website,
                "privacyUrl": privacy,
                "termsOfUseUrl": terms,
            },
            "name": { "short": name, "full": name },
            "description": { "short": SHORT, "full": FULL },
            "icons": { "color": "color.png", "outline": "outline.png", "color32x32": "color32x32.png" },
            "accentColor": "#243B6B",
            "bots": [{
                "botId": bot,
                "scopes": ["team", "personal"],
                "supportsFiles": false,
                "isNotificationOnly": false,
                "commandLists": [
                    { "scopes": ["team"], "commands": commands(Place::Channel) },
                    { "scopes": ["personal"], "commands": commands(Place::Private) },
                ],
            }],
            "validDomains": [domain],
            "defaultInstallScope": "team",
            "defaultGroupCapability": { "team": "bot" },
            // Private and shared channels (Teams docs, "Apps for shared and private channels").
            "supportsChannelFeatures": "tier1",
        });
        Ok(Self { manifest })
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// The package's version.
    #[must_use]
    pub fn version(&self) -> &str {
        self.manifest.get("version").and_then(Value::as_str).unwrap_or_default()
    }

    /// How many commands are suggested in all.
    #[must_use]
    pub fn commands(&self) -> usize {
        let suggested = |command: &&Command| {
            [Place::Channel, Place::Private].into_iter().any(|place| listed(COMMANDS, place).any(|one| one == *command))
        };
        COMMANDS.iter().filter(suggested).count()
    }

    /// The package as Teams takes it; the same content gives the same bytes.
    ///
    /// # Errors
    /// [`NotWritten`] if memory runs out.
    pub fn zip(&self) -> Result<Vec<u8>, NotWritten> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        // The library's own default becomes the time of day as soon as any crate asks for that feature of it.
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default());
        let manifest = format!("{:#}\n", self.manifest);
        for (name, content) in std::iter::once(("manifest.json", manifest.as_bytes())).chain(ICONS) {
            zip.start_file(name, options)?;
            zip.write_all(content)?;
        }
        Ok(zip.finish()?.into_inner())
    }
}

/// The commands that work in a place, in the order of `help`. The schema has room for twelve; what comes after is not
/// suggested and works all the same.
fn listed(table: &[Command], place: Place) -> impl Iterator<Item = &Command> {
    let here = move |command: &&Command| command.place == Place::Anywhere || command.place == place;
    table.iter().filter(here).take(MOST_COMMANDS)
}

fn commands(place: Place) -> Vec<Value> {
    listed(COMMANDS, place)
        .map(|command| {
            let usage = format!("{} {}", command.word, command.argument);
            let description = if command.argument.is_empty() {
                command.does.to_owned()
            } else {
                format!("{}: {}", usage.trim(), command.does)
            };
            json!({ "title": command.word, "description": description })
        })
        .collect()
}

fn guid(what: &'static str, text: &str) -> Result<String, Mistake> {
    let text = text.trim().to_ascii_lowercase();
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let digits = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if digits && lengths == [8, 4, 4, 4, 12] { Ok(text) } else { Err(Mistake::Guid(what)) }
}

fn host(text: &str) -> Result<String, Mistake> {
    let text = text.trim().to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric())
    };
    let fits = text.len() <= 253 && text.contains('.') && text.split('.').all(label);
    // The parser knows what else a browser takes for an IP address, such as 0x7f.1.
    match Host::parse(&text) {
        Ok(Host::Domain(name)) if fits && name == text => Ok(name),
        _ => Err(Mistake::Domain),
    }
}

fn address(what: &'static str, text: &str) -> Result<String, Mistake> {
    let text = text.trim();
    // The parser repairs what people rather have mistyped: missing or too many slashes, tabs, blanks.
    let written = text.to_ascii_lowercase().strip_prefix("https://").is_some_and(|rest| !rest.starts_with(['/', '\\']))
        && !text.chars().any(|character| character.is_whitespace() || character.is_control());
    let anonymous = |url: &Url| url.username().is_empty() && url.password().is_none();
    let url = Url::parse(text).ok().filter(|url| written && anonymous(url));
    url.map(String::from).filter(|url| url.len() <= 2048).ok_or(Mistake::Address(what))
}

fn bounded(what: &'static str, text: &str, most: usize) -> Result<String, Mistake> {
    let text = text.trim();
    let fits = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(Mistake::Length { what, most }) }
}

fn version(text: &str) -> Result<String, Mistake> {
    let parts: Vec<&str> = text.trim().split('.').collect();
    let number = |part: &&str| {
        (1..=5).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (*part == "0" || !part.starts_with('0'))
    };
    if parts.len() == 3 && parts.iter().all(number) { Ok(parts.join(".")) } else { Err(Mistake::Version) }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            app_id: "11111111-2222-4333-8444-555555555555".to_owned(),
            domain: "bridge.example.com".to_owned(),
            teams_app_id: None,
            name: "PagerBridge".to_owned(),
            developer_name: "Acme".to_owned(),
            website: None,
            privacy_url: Some("https://example.com/privacy".to_owned()),
            terms_url: None,
            version: "1.2.3".to_owned(),
        }
    }

    fn words(manifest: &Value, list: usize) -> Vec<&str> {
        let commands = manifest["bots"][0]["commandLists"][list]["commands"].as_array().unwrap();
        commands.iter().map(|command| command["title"].as_str().unwrap()).collect()
    }

    #[test]
    fn the_manifest_is_what_the_bot_can_do() {
        let package = Package::new(&wanted()).unwrap();
        let manifest = package.manifest();
        let of = |place| {
            let fits =
                COMMANDS.iter().filter(move |command| command.place == Place::Anywhere || command.place == place);
            fits.map(|command| command.word).collect::<Vec<_>>()
        };
        assert_eq!(words(manifest, 0), of(Place::Channel));
        assert_eq!(words(manifest, 1), of(Place::Private));
        assert!(
            of(Place::Channel).len() <= MOST_COMMANDS && of(Place::Private).len() <= MOST_COMMANDS,
            "none is left out"
        );
        assert_eq!(manifest["bots"][0]["botId"], manifest["id"]);
        assert_eq!(manifest["validDomains"], json!(["bridge.example.com"]));
        assert_eq!(manifest["developer"]["websiteUrl"], "https://bridge.example.com/admin");
        assert_eq!(manifest["developer"]["privacyUrl"], "https://example.com/privacy");
        assert_eq!(package.commands(), COMMANDS.len());
        for unused in ["permissions", "devicePermissions", "authorization", "webApplicationInfo"] {
            assert!(manifest.get(unused).is_none(), "{unused} is asked for and not used");
        }
    }

    #[test]
    fn a_longer_table_is_cut_where_the_schema_ends() {
        let table = [COMMANDS, COMMANDS].concat();
        for place in [Place::Channel, Place::Private] {
            let listed: Vec<_> = listed(&table, place).collect();
            assert_eq!(listed.len(), MOST_COMMANDS, "{place:?}");
            assert_eq!(listed.first(), Some(&&COMMANDS[0]));
            assert!(listed.iter().all(|command| command.place == Place::Anywhere || command.place == place));
        }
    }

    #[test]
    fn names_cannot_write_into_the_manifest() {
        let name = r#"","id":"x\ <b>"#;
        let package = Package::new(&Wanted { name: name.to_owned(), ..wanted() }).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(package.zip().unwrap())).unwrap();
        let manifest: Value = serde_json::from_reader(zip.by_name("manifest.json").unwrap()).unwrap();
        assert_eq!(manifest["name"]["short"], name);
        assert_eq!(manifest["id"], wanted().app_id.as_str());
    }

    #[test]
    fn the_zip_holds_the_manifest_and_icons_of_the_right_size() {
        let package = Package::new(&wanted()).unwrap();
        let bytes = package.zip().unwrap();
        assert_eq!(bytes, package.zip().unwrap(), "reproducible");
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut read = |name: &str| {
            let mut content = Vec::new();
            let mut file = zip.by_name(name).unwrap();
            assert_eq!(file.last_modified(), Some(zip::DateTime::default()), "{name}");
            file.read_to_end(&mut content).unwrap();
            content
        };
        let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
        assert_eq!(&manifest, package.manifest());
        for (icon, size) in [("color", 192_u32), ("outline", 32), ("color32x32", 32)] {
            let png = read(manifest["icons"][icon].as_str().unwrap());
            let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
            assert_eq!((&png[..8], side(16), side(20)), (&b"\x89PNG\r\n\x1a\n"[..], size, size), "{icon}");
        }
        assert_eq!(zip.len(), 4);
    }

    #[test]
    fn bad_arguments_are_named() {
        type Change = fn(&mut Wanted);
        let cases: [(Change, Mistake); 14] = [
            (|w| w.app_id = "nonsense".to_owned(), Mistake::Guid("app-id")),
            (|w| w.app_id = "11111111222243338444555555555555".to_owned(), Mistake::Guid("app-id")),
            (|w| w.teams_app_id = Some(String::new()), Mistake::Guid("teams-app-id")),
            (|w| w.domain = "https://bridge.example.com".to_owned(), Mistake::Domain),
            (|w| w.domain = "bridge.example.com/admin".to_owned(), Mistake::Domain),
            (|w| w.domain = "bridge.example.com:443".to_owned(), Mistake::Domain),
            (|w| w.domain = "*.example.com".to_owned(), Mistake::Domain),
            (|w| w.domain = "127.0.0.1".to_owned(), Mistake::Domain),
            (|w| w.name = " ".to_owned(), Mistake::Length { what: "name", most: 30 }),
            (|w| w.name = "x".repeat(31), Mistake::Length { what: "name", most: 30 }),
            (|w| w.developer_name = "x\ny".to_owned(), Mistake::Length { what: "developer-name", most: 32 }),
            (|w| w.website = Some("http://example.com".to_owned()), Mistake::Address("website")),
            (|w| w.terms_url = Some("javascript:alert(1)".to_owned()), Mistake::Address("terms-url")),
            (|w| w.version = "1.02.3".to_owned(), Mistake::Version),
        ];
        for (change, expected) in cases {
            let mut wanted = wanted();
            change(&mut wanted);
            assert_eq!(Package::new(&wanted).unwrap_err(), expected, "{wanted:?}");
        }
    }

    #[test]
    fn only_real_hosts_are_hosts() {
        assert_eq!(host(" Bridge.Example.com "), Ok("bridge.example.com".to_owned()));
        assert_eq!(host("xn--bcher-kva.example"), Ok("xn--bcher-kva.example".to_owned()));
        let (long_label, long_name) = (format!("{}.com", "a".repeat(64)), format!("{}com", "abc.".repeat(63)));
        let nothing = ["", "com", "localhost", "a..b", ".example.com", "example.com.", "-a.com", "a-.com", "a_b.com"];
        let foreign =
            ["b\u{fc}cher.example", "xn--a.example", "a b.com", "ex%61mple.com", "a.com?x", "a.com#x", "me@a.com"];
        let numbers = ["127.0.0.1", "0x7f.1", "1.2.3", "[::1]"];
        for bad in nothing.into_iter().chain(foreign).chain(numbers).chain([&*long_label, &*long_name]) {
            assert_eq!(host(bad), Err(Mistake::Domain), "{bad}");
        }
    }

    #[test]
    fn only_https_addresses_are_addresses() {
        assert_eq!(address("website", "HTTPS://Example.com/a?b"), Ok("https://example.com/a?b".to_owned()));
        let long = format!("https://example.com/{}", "x".repeat(2048));
        let odd =
            ["https:example.com", "https:/example.com", "https:///example.com", "https://ex\tample.com", "https://a b"];
        let other = ["", "https://", "example.com", "http://example.com", "javascript:alert(1)", "data:text/html,x"];
        let named = ["https://me@example.com", "https://:pw@example.com"];
        for bad in odd.into_iter().chain(other).chain(named).chain([&*long]) {
            assert_eq!(address("website", bad), Err(Mistake::Address("website")), "{bad}");
        }
    }
}
