//! Tokens that the Bot Connector did not make for this bot, or not for this activity: each is refused before anything is read.
//!
//! `teams::auth` has a table of its own beside its code, which says why each is refused; here they come in by the front door.

use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use runtime::Clock;
use serde_json::{Value, json};
use simulators::teams::{Flaw, Signer};

use super::ground::Ground;

const APP: &str = "11111111-2222-4333-8444-555555555555";
const ISSUER: &str = "https://api.botframework.com";
const EVIL: &str = "https://evil.example.com/keys";

/// Header and claims as the Connector writes them, and the activity that they go with.
struct Good {
    header: Value,
    claims: Value,
    activity: Value,
}

/// A request that must be refused.
struct Forged {
    name: String,
    authorization: Vec<Vec<u8>>,
    query: &'static str,
    body: Vec<u8>,
    status: u16,
}

struct Forge<'g> {
    ground: &'g Ground,
    good: Good,
    made: Vec<Forged>,
}

fn with(document: &Value, name: &str, value: Value) -> Value {
    let mut changed = document.clone();
    changed[name] = value;
    changed
}

fn without(document: &Value, name: &str) -> Value {
    let mut changed = document.clone();
    changed.as_object_mut().unwrap().remove(name);
    changed
}

/// The document with a member written a second time, at its end.
fn doubled(document: &Value, name: &str, second: &Value) -> String {
    let text = document.to_string();
    format!("{},\"{name}\":{second}}}", &text[..text.len() - 1])
}

impl<'g> Forge<'g> {
    fn new(ground: &'g Ground, activity: Value) -> Self {
        let now = ground.inside.app.clock.now().as_second();
        let kid = ground.inside.teams.signing_key().unwrap();
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": kid, "x5t": kid });
        let claims = json!({
            "iss": ISSUER, "aud": APP, "nbf": now - 60, "exp": now + 3600, "serviceurl": activity["serviceUrl"],
        });
        Self { ground, good: Good { header, claims, activity }, made: Vec::new() }
    }

    fn sign(&self, header: &str, claims: &str, signer: Signer) -> String {
        self.ground.inside.teams.forge(header, claims, signer).unwrap()
    }

    fn good_token(&self) -> String {
        self.sign(&self.good.header.to_string(), &self.good.claims.to_string(), Signer::Connector)
    }

    fn add(&mut self, name: &str, authorization: Vec<Vec<u8>>, status: u16) {
        let body = self.good.activity.to_string().into_bytes();
        self.made.push(Forged { name: name.to_owned(), authorization, query: "", body, status });
    }

    fn line(&mut self, name: &str, authorization: &str) {
        self.add(name, vec![authorization.as_bytes().to_vec()], 401);
    }

    fn token(&mut self, name: &str, token: &str) {
        self.line(name, &format!("Bearer {token}"));
    }

    fn texts(&mut self, name: &str, header: &str, claims: &str, signer: Signer) {
        let token = self.sign(header, claims, signer);
        self.token(name, &token);
    }

    fn header(&mut self, name: &str, header: &Value, signer: Signer) {
        let claims = self.good.claims.to_string();
        self.texts(name, &header.to_string(), &claims, signer);
    }

    fn claims(&mut self, name: &str, claims: &Value) {
        let header = self.good.header.to_string();
        self.texts(name, &header, &claims.to_string(), Signer::Connector);
    }

    fn claim(&mut self, name: &str, claim: &str, value: Value) {
        let claims = with(&self.good.claims, claim, value);
        self.claims(name, &claims);
    }

    /// A good token for another activity.
    fn activity(&mut self, name: &str, activity: &Value) {
        let token = format!("Bearer {}", self.good_token()).into_bytes();
        let body = activity.to_string().into_bytes();
        self.made.push(Forged { name: name.to_owned(), authorization: vec![token], query: "", body, status: 403 });
    }

    fn authorizations(&mut self) {
        let good = self.good_token();
        self.add("no Authorization", vec![], 401);
        self.line("empty", "");
        self.line("the token alone", &good);
        self.line("the scheme alone", "Bearer");
        self.line("Basic", &format!("Basic {good}"));
        self.line("Digest", &format!("Digest {good}"));
        self.line("the scheme twice", &format!("Bearer Bearer {good}"));
        self.line("no space", &format!("Bearer{good}"));
        self.line("a tab", &format!("Bearer\t{good}"));
        self.line("a word behind it", &format!("Bearer {good} x"));
        self.line("two in one", &format!("Bearer {good}, Bearer {good}"));
        self.line("as a member", &format!("Bearer token=\"{good}\""));
        self.add("no ASCII", vec![[b"Bearer ".to_vec(), vec![0xff; 40]].concat()], 401);
        let (bad, right) = (b"Bearer a.b.c".to_vec(), format!("Bearer {good}").into_bytes());
        self.add("two headers, the first of them rubbish", vec![bad, right], 401);
        self.add("in the address", vec![], 401);
        self.made.last_mut().unwrap().query = "?access_token=x&token=y";
        self.token("very long", &"A".repeat(60_000));
        self.token("very long, of three parts", &format!("{0}.{0}.{0}", "A".repeat(20_000)));
    }

    fn shapes(&mut self) {
        let good = self.good_token();
        let parts: Vec<&str> = good.split('.').collect();
        let (header, claims, signature) = (parts[0], parts[1], parts[2]);
        self.token("one part", header);
        self.token("two parts", &format!("{header}.{claims}"));
        self.token("four parts", &format!("{good}.{signature}"));
        self.token("five parts, as if it were encrypted", &format!("{header}..{claims}.{signature}.{signature}"));
        self.token("no signature", &format!("{header}.{claims}."));
        self.token("an empty token", "..");
        self.token("padded", &format!("{header}.{claims}.{signature}=="));
        self.token("padded claims", &format!("{header}.{claims}=.{signature}"));
        let standard = |text: &str| text.replace('-', "+").replace('_', "/");
        let plus = format!("{header}.{claims}.{}", standard(signature));
        // A signature has one of the two letters with near certainty; if not, nothing would be changed.
        self.token("in the other alphabet", &if plus == good { format!("{good}+") } else { plus });
        self.token("a percent sign", &format!("{header}%2e{claims}.{signature}"));
        self.token("a zero byte in base64", &format!("AA{header}.{claims}.{signature}"));
        self.token("a shorter signature", &good[..good.len() - 6]);
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        self.token("another first letter", &format!("{header}.{claims}.{flipped}{}", &signature[1..]));
        let evil = BASE64_URL_SAFE_NO_PAD.encode(with(&self.good.claims, "serviceurl", json!(EVIL)).to_string());
        self.token("other claims under a good signature", &format!("{header}.{evil}.{signature}"));
        let encrypted = json!({ "alg": "RSA-OAEP", "enc": "A256GCM", "cty": "JWT", "kid": self.good.header["kid"] });
        self.header("encrypted", &encrypted, Signer::Connector);
        let good_header = self.good.header.to_string();
        for (name, text) in [
            ("claims that are a list", "[]"),
            ("claims that are null", "null"),
            ("claims that are a text", "\"exp\""),
            ("claims that are no JSON", "{"),
            ("no claims at all", ""),
        ] {
            self.texts(name, &good_header, text, Signer::Connector);
        }
        let good_claims = self.good.claims.to_string();
        for (name, text) in
            [("a header that is no JSON", "RS256"), ("a header that is a list", "[\"RS256\"]"), ("no header", "")]
        {
            self.texts(name, text, &good_claims, Signer::Connector);
        }
        let nested = BASE64_URL_SAFE_NO_PAD.encode(&good);
        self.token("a token in a token", &format!("{header}.{nested}.{signature}"));
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        self.texts("deep claims", &good_header, &deep, Signer::Connector);
    }

    fn algorithms(&mut self) {
        let header = self.good.header.clone();
        for (alg, signer) in [
            (json!("none"), Signer::Nobody),
            (json!("None"), Signer::Nobody),
            (json!("NONE"), Signer::Nobody),
            (json!("none"), Signer::Connector),
            (json!("HS256"), Signer::PublicModulus),
            (json!("HS256"), Signer::EmptySecret),
            (json!("RS256"), Signer::PublicModulus),
            (json!("RS256"), Signer::ConnectorSha384),
            (json!("RS256"), Signer::ConnectorPss),
            (json!("RS256"), Signer::Nobody),
            (json!("RS384"), Signer::ConnectorSha384),
            (json!("RS512"), Signer::Connector),
            (json!("PS256"), Signer::ConnectorPss),
            (json!("ES256"), Signer::Connector),
            (json!("EdDSA"), Signer::Connector),
            (json!("rs256"), Signer::Connector),
            (json!("RS256 "), Signer::Connector),
            (json!(""), Signer::Connector),
            (json!(null), Signer::Connector),
            (json!(["RS256"]), Signer::Connector),
        ] {
            let changed = with(&header, "alg", alg.clone());
            self.header(&format!("alg {alg}, signed by {signer:?}"), &changed, signer);
        }
        self.header("no alg", &without(&header, "alg"), Signer::Connector);
        let claims = self.good.claims.to_string();
        let none_first = doubled(&with(&header, "alg", json!("none")), "alg", &json!("RS256"));
        self.texts("alg twice", &none_first, &claims, Signer::Connector);
    }

    fn keys(&mut self) {
        let header = self.good.header.clone();
        self.header("a stranger's signature", &header, Signer::Stranger);
        for kid in [
            json!(null),
            json!(""),
            json!("unknown"),
            json!(7),
            json!(["a"]),
            json!("../keys"),
            json!("x".repeat(9000)),
        ] {
            let changed = with(&header, "kid", kid.clone());
            self.header(
                &format!("kid {}", kid.to_string().chars().take(20).collect::<String>()),
                &changed,
                Signer::Connector,
            );
        }
        self.header("no kid", &without(&header, "kid"), Signer::Connector);
        let upper = header["kid"].as_str().unwrap().to_uppercase();
        self.header("kid in capitals", &with(&header, "kid", json!(upper)), Signer::Connector);
        let jwk = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": header["kid"], "alg": "RS256" });
        for (name, value) in [
            ("jku", json!(EVIL)),
            ("x5u", json!(EVIL)),
            ("jwk", jwk),
            ("x5c", json!(["MIIC"])),
            ("x5t#S256", json!("AAAA")),
        ] {
            self.header(&format!("{name} of a stranger"), &with(&header, name, value), Signer::Stranger);
        }
        self.header("crit", &with(&header, "crit", json!(["exp"])), Signer::Connector);
        self.header("crit that is empty", &with(&header, "crit", json!([])), Signer::Connector);
        self.header(
            "unencoded claims",
            &with(&with(&header, "crit", json!(["b64"])), "b64", json!(false)),
            Signer::Connector,
        );
        self.header("the key of another channel, under the right id", &header, Signer::NotEndorsed);
    }

    fn claim_by_claim(&mut self) {
        let now = self.ground.inside.app.clock.now().as_second();
        let good = self.good.claims.clone();
        for missing in ["iss", "aud", "exp", "nbf"] {
            self.claims(&format!("no {missing}"), &without(&good, missing));
        }
        for iss in [
            json!("https://evil.example.com"),
            json!("https://api.botframework.com/"),
            json!("https://api.botframework.com.evil.example.com"),
            json!("http://api.botframework.com"),
            json!("HTTPS://API.BOTFRAMEWORK.COM"),
            json!("https://api.botframework.us"),
            json!("https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/"),
            json!("https://sts.windows.net/f8cdef31-a31e-4b4a-93e4-5f571e91255a/"),
            json!("https://sts.windows.net/72f988bf-86f1-41af-91ab-2d7cd011db47/"),
            json!("https://login.microsoftonline.com/d6d49420-f39b-4df7-a1dc-d59a935871db/v2.0"),
            json!("https://login.microsoftonline.com/f8cdef31-a31e-4b4a-93e4-5f571e91255a/v2.0"),
            json!("https://login.microsoftonline.com/99999999-8888-4777-8666-555555555555/v2.0"),
            json!([ISSUER]),
            json!({ "iss": ISSUER }),
            json!(null),
        ] {
            self.claim(&format!("iss {iss}"), "iss", iss);
        }
        // The Connector names one audience. A list would be for others as well, who could pass the token on.
        for aud in [
            json!("00000000-0000-4000-8000-00000000dead"),
            json!(""),
            json!(format!("{APP}0")),
            json!(format!("api://{APP}")),
            json!(format!("{APP} ")),
            json!([APP]),
            json!([APP, "00000000-0000-4000-8000-00000000dead"]),
            json!("https://api.botframework.com"),
            json!(null),
        ] {
            self.claim(&format!("aud {aud}"), "aud", aud);
        }
        for exp in [
            json!(now - 301),
            json!(0),
            json!(-1),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(1e300),
            json!(now as f64 + 60.5),
            json!((now + 60).to_string()),
            json!(true),
            json!([now + 60]),
            json!(null),
        ] {
            self.claim(&format!("exp {exp}"), "exp", exp);
        }
        for nbf in [json!(now + 301), json!(i64::MAX), json!(u64::MAX), json!((now - 60).to_string()), json!(null)] {
            self.claim(&format!("nbf {nbf}"), "nbf", nbf);
        }
        let header = self.good.header.to_string();
        for (name, first, second) in [
            ("aud", json!("00000000-0000-4000-8000-00000000dead"), json!(APP)),
            ("iss", json!("https://evil.example.com"), json!(ISSUER)),
            ("exp", json!(0), json!(now + 3600)),
            ("serviceurl", json!(EVIL), good["serviceurl"].clone()),
        ] {
            let claims = doubled(&with(&good, name, first), name, &second);
            self.texts(&format!("{name} twice"), &header, &claims, Signer::Connector);
        }
    }

    /// Good tokens of the Connector that do not allow this activity.
    fn not_for_this_activity(&mut self) {
        let good = self.good.activity.clone();
        for channel in ["", " ", "emulator", "webchat", "MSTeams", "msteams ", "msteams\0", "directline", "skype"] {
            self.activity(&format!("channelId {channel:?}"), &with(&good, "channelId", json!(channel)));
        }
        self.activity("channelId null", &with(&good, "channelId", Value::Null));
        self.activity("channelId in a list", &with(&good, "channelId", json!(["msteams"])));
        self.activity("no channelId", &without(&good, "channelId"));
        let address = good["serviceUrl"].as_str().unwrap().to_owned();
        for url in [
            "https://evil.example.com/".to_owned(),
            String::new(),
            format!("{address}x"),
            format!("{address}/"),
            format!("{address}?x"),
            format!("{address}#"),
            format!(" {address}"),
            address.replace("127.0.0.1", "127.0.0.1.evil.example.com"),
            address.replace("//", "//user@"),
            address.replace("amer", "emea"),
        ] {
            self.activity(&format!("serviceUrl {url:?}"), &with(&good, "serviceUrl", json!(url)));
        }
        self.activity("no serviceUrl", &without(&good, "serviceUrl"));
        for tenant in ["00000000-1111-4222-8333-444444444444", "common", "*", "%"] {
            let mut other = good.clone();
            other["conversation"]["tenantId"] = json!(tenant);
            other["channelData"]["tenant"]["id"] = json!(tenant);
            self.activity(&format!("tenant {tenant}"), &other);
        }
        let mut nowhere = good.clone();
        nowhere["conversation"].as_object_mut().unwrap().remove("tenantId");
        nowhere["channelData"] = json!({});
        self.activity("no tenant", &nowhere);
        let mut torn = good.clone();
        torn["channelData"]["tenant"]["id"] = json!(super::ground::OTHER_TENANT);
        self.activity("two tenants that are both served", &torn);
        let claims = self.good.claims.clone();
        for (name, claims) in [
            ("no serviceurl", without(&claims, "serviceurl")),
            ("serviceurl null", with(&claims, "serviceurl", Value::Null)),
            ("another serviceurl", with(&claims, "serviceurl", json!(EVIL))),
        ] {
            self.claims(name, &claims);
            self.made.last_mut().unwrap().status = 403;
        }
        let address = good["serviceUrl"].as_str().unwrap();
        let authorization = self.ground.inside.teams.authorization(address, Flaw::NotEndorsed).unwrap().unwrap();
        self.add("a key that is endorsed for another channel", vec![authorization.into_bytes()], 403);
    }
}

/// Somebody has written `help` in a channel, and Teams has not told the bot yet.
async fn asked_for_help() -> (Ground, Value) {
    let ground = Ground::new().await;
    let teams = &ground.inside.teams;
    let ada = teams.add_user("Ada Wong");
    let team = ground.inside.add_team("Site Reliability").await.unwrap();
    let channel = teams.add_channel(&team, "alerts");
    let activity = teams.message_activity(&ada, &channel, "help").unwrap();
    (ground, activity)
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_for_this_bot_and_activity_is_refused_before_anything_is_read() {
    let (ground, activity) = asked_for_help().await;
    let teams = &ground.inside.teams;
    let mut forge = Forge::new(&ground, activity);
    let good = format!("Bearer {}", forge.good_token());
    forge.authorizations();
    forge.shapes();
    forge.algorithms();
    forge.keys();
    forge.claim_by_claim();
    forge.not_for_this_activity();
    let (forged, activity) = (forge.made, forge.good.activity);
    let kinds: std::collections::BTreeSet<&str> = forged.iter().map(|forged| forged.name.as_str()).collect();
    assert!(kinds.len() >= 40 && kinds.len() == forged.len(), "{} of {}", kinds.len(), forged.len());

    ground.calls();
    for forged in &forged {
        let mut request = Request::post(format!("/api/messages{}", forged.query));
        for value in &forged.authorization {
            request = request.header(header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        let answer = ground.ask(request.body(Body::from(forged.body.clone())).unwrap()).await;
        assert_eq!((answer.status, answer.body.len()), (forged.status, 0), "{}", forged.name);
    }
    assert_eq!(ground.calls(), [], "nothing of AWS is asked for any of them");
    assert_eq!(teams.key_requests(), 1, "nothing that a token names is ever fetched");
    let counters = teams.all_counters();
    assert_eq!((counters.posts, counters.replies), (0, 0));

    let answer = ground.messages(Some(&good), activity.to_string().into_bytes()).await;
    assert_eq!(answer.status, 200, "what they were made of is good");
    assert!(ground.calls().iter().any(|call| call.operation == "GetItem"));
    println!("{} kinds", forged.len());
}

/// What comes together must cause one question together; what comes later, one in five minutes.
#[tokio::test(start_paused = true)]
async fn ten_thousand_unknown_keys_cause_one_fetch_in_five_minutes() {
    const FLOOD: usize = 10_000;
    let (ground, activity) = asked_for_help().await;
    let teams = &ground.inside.teams;
    let forge = Forge::new(&ground, activity);
    let claims = with(&forge.good.claims, "exp", json!(ground.inside.app.clock.now().as_second() + 7200)).to_string();
    let good = forge.sign(&forge.good.header.to_string(), &claims, Signer::Connector);
    let body = forge.good.activity.to_string().into_bytes();
    let signature = good.rsplit('.').next().unwrap();
    let claims = good.split('.').nth(1).unwrap();
    let unknown = |number: usize| {
        let header = with(&forge.good.header, "kid", json!(format!("unknown-{number}")));
        format!("Bearer {}.{claims}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(header.to_string()))
    };
    let began = ground.inside.app.clock.now();
    let minutes = |clock: &Clock| clock.now().duration_since(began).as_mins();
    for hundred in 0..FLOOD / 100 {
        let flood = (0..100).map(|number| {
            let authorization = unknown(hundred * 100 + number);
            let (ground, body) = (&ground, body.clone());
            async move { ground.messages(Some(&authorization), body).await.status }
        });
        let answers = futures_util::future::join_all(flood).await;
        assert!(answers.iter().all(|status| *status == 401), "{answers:?}");
        // Thirty minutes in all.
        tokio::time::advance(std::time::Duration::from_secs(18)).await;
    }
    let fetches = teams.key_requests();
    assert_eq!((minutes(&ground.inside.app.clock), fetches), (30, 6), "one at 0, 5, 10, 15, 20 and 25 minutes");

    // In the middle of it Teams changes its key: the first one whom the pause allows finds it.
    teams.rotate_keys(true);
    let address = forge.good.activity["serviceUrl"].as_str().unwrap();
    let new = teams.authorization(address, Flaw::None).unwrap().unwrap();
    let mut refused = 0;
    while ground.messages(Some(&new), body.clone()).await.status == 401 {
        refused += 1;
        assert_eq!(ground.messages(Some(&unknown(refused)), body.clone()).await.status, 401);
        tokio::time::advance(std::time::Duration::from_secs(30)).await;
    }
    assert!(refused <= 10, "known after five minutes at the latest, and not after {refused} half minutes");
    assert_eq!(teams.key_requests(), fetches + 1);
    assert_eq!(ground.messages(Some(&format!("Bearer {good}")), body).await.status, 200, "the old one is still good");
}
