use serde_json::json;

use super::*;
use crate::support::{
    APP, Call, Reply, Server, Signed, TENANT, connector_key, encode, http, now, reply, strangers_key, token,
};

const SERVICE_URL: &str = "https://smba.trafficmanager.net/amer/";
const ISSUER: &str = "https://api.botframework.com";

fn key(kid: &str, endorsements: Value) -> Value {
    let (n, e) = connector_key().components();
    let mut key = json!({ "kty": "RSA", "use": "sig", "kid": kid, "x5t": kid, "n": n, "e": e, "x5c": ["MIIC"] });
    if !endorsements.is_null() {
        key["endorsements"] = endorsements;
    }
    key
}

fn key_set() -> Value {
    let mut for_encryption = key("encryption", json!(["msteams"]));
    for_encryption["use"] = json!("enc");
    let mut null_list = key("null-list", Value::Null);
    null_list["endorsements"] = Value::Null;
    json!({ "keys": [
        { "kty": "EC", "kid": "curve", "crv": "P-256", "x": "AA", "y": "AA", "endorsements": ["msteams"] },
        { "kid": 7, "strange": true },
        key("good", json!(["webchat", "msteams"])),
        key("no-list", Value::Null),
        key("empty-list", json!([])),
        key("other-list", json!(["webchat", "MSTEAMS", "msteams2"])),
        null_list,
        for_encryption,
    ] })
}

fn metadata(base: &str) -> Value {
    json!({
        "issuer": ISSUER,
        "jwks_uri": format!("{base}/keys"),
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

fn publishes(keys: Value, metadata: impl Fn(&Call) -> Value) -> impl FnMut(&Call) -> Option<Reply> {
    move |call| match call.path.as_str() {
        "/openid" => reply(200, metadata(call)),
        "/keys" => reply(200, &keys),
        _ => reply(404, ""),
    }
}

async fn key_server() -> Server {
    let server = Server::start(|_| reply(500, "")).await;
    let document = metadata(&server.base);
    server.become_scripted(publishes(key_set(), move |_| document.clone()));
    server
}

fn auth(server: &Server) -> BotAuth {
    let tenants = [TENANT, "tenant-2"].map(|tenant| TenantId::new(tenant).unwrap()).to_vec();
    let hosts = TrustedHosts::new(["smba.trafficmanager.net".to_owned()]).unwrap();
    BotAuth::new(http().into(), format!("{}/openid", server.base).parse().unwrap(), APP.to_owned(), tenants, hosts)
}

fn header() -> Value {
    json!({ "typ": "JWT", "alg": "RS256", "kid": "good", "x5t": "good" })
}

fn claims() -> Value {
    let now = now().as_second();
    json!({ "iss": ISSUER, "aud": APP, "nbf": now - 60, "exp": now + 3600, "serviceurl": SERVICE_URL })
}

fn activity() -> Value {
    json!({
        "type": "message",
        "id": "1793437200000",
        "channelId": "msteams",
        "serviceUrl": SERVICE_URL,
        "from": { "id": "29:1kim", "name": "Kim", "aadObjectId": "00000000-0000-4000-8000-000000000001" },
        "recipient": { "id": format!("28:{APP}"), "name": "PagerDuty" },
        "conversation": { "id": "a:1chat", "conversationType": "personal", "tenantId": TENANT },
        "channelData": { "tenant": { "id": TENANT } },
        "text": "help",
    })
}

fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    *document.pointer_mut(pointer).unwrap() = value;
    document
}

fn without(mut document: Value, name: &str) -> Value {
    document.as_object_mut().unwrap().remove(name).unwrap();
    document
}

fn plus(mut document: Value, name: &str, value: Value) -> Value {
    document.as_object_mut().unwrap().insert(name.to_owned(), value);
    document
}

/// What is sent: a good request, changed in one respect.
#[derive(Clone)]
struct Sent {
    authorization: Option<String>,
    body: Vec<u8>,
}

fn sent(header: &Value, claims: &Value, activity: &Value) -> Sent {
    let token = token(header, claims, Signed::Rs256(connector_key()));
    Sent { authorization: Some(format!("Bearer {token}")), body: activity.to_string().into_bytes() }
}

fn good() -> Sent {
    sent(&header(), &claims(), &activity())
}

fn with_claims(claims: &Value) -> Sent {
    sent(&header(), claims, &activity())
}

fn with_header(header: &Value) -> Sent {
    sent(header, &claims(), &activity())
}

fn with_activity(activity: &Value) -> Sent {
    sent(&header(), &claims(), activity)
}

fn with_signature(header: &Value, signed: Signed<'_>) -> Sent {
    with_token(&token(header, &claims(), signed))
}

fn with_token(token: &str) -> Sent {
    with_authorization(Some(&format!("Bearer {token}")))
}

fn with_authorization(authorization: Option<&str>) -> Sent {
    Sent { authorization: authorization.map(str::to_owned), ..good() }
}

fn with_body(body: impl Into<Vec<u8>>) -> Sent {
    Sent { body: body.into(), ..good() }
}

fn good_token() -> String {
    token(&header(), &claims(), Signed::Rs256(connector_key()))
}

/// The good token with one of its three parts replaced.
fn with_part(index: usize, part: &str) -> Sent {
    let token = good_token();
    let mut parts: Vec<&str> = token.split('.').collect();
    parts[index] = part;
    with_token(&parts.join("."))
}

fn serviceurl_both(url: &str) -> Sent {
    sent(&header(), &with(claims(), "/serviceurl", json!(url)), &with(activity(), "/serviceUrl", json!(url)))
}

fn token_corpus() -> Vec<(&'static str, Sent, &'static str)> {
    let now = now().as_second();
    let by_connector = Signed::Rs256(connector_key());
    let by_stranger = Signed::Rs256(strangers_key());
    let alg = |name: &str| with(header(), "/alg", json!(name));
    let claim = |name: &str, value: Value| with_claims(&plus(claims(), name, value));
    let (n, e) = strangers_key().components();
    let strangers_jwk = json!({ "kty": "RSA", "kid": "good", "n": n, "e": e, "use": "sig" });
    let evil = "https://evil.example.com/keys";
    let forged_claims = encode(plus(claims(), "serviceurl", json!("https://evil.example.com/")).to_string().as_bytes());
    let signature = good_token().rsplit('.').next().unwrap().to_owned();
    let flipped = format!("{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    let no_kid = without(header(), "kid");
    let doubled = r#"{"typ":"JWT","alg":"HS256","alg":"RS256","kid":"good"}"#;
    vec![
        ("no header", with_authorization(None), "Unauthorized(Missing)"),
        ("empty header", with_authorization(Some("")), "Unauthorized(NotBearer)"),
        ("the token alone", with_authorization(Some(&good_token())), "Unauthorized(NotBearer)"),
        ("the word alone", with_authorization(Some("Bearer")), "Unauthorized(NotBearer)"),
        ("the word and a space", with_authorization(Some("Bearer ")), "Unauthorized(NotBearer)"),
        ("basic", with_authorization(Some(&format!("Basic {}", good_token()))), "Unauthorized(NotBearer)"),
        ("three words", with_authorization(Some(&format!("Bearer {} x", good_token()))), "Unauthorized(NotBearer)"),
        ("two spaces", with_authorization(Some(&format!("Bearer  {}", good_token()))), "Unauthorized(NotBearer)"),
        ("line break", with_authorization(Some(&format!("Bearer {}\n", good_token()))), "Unauthorized(NotBearer)"),
        ("huge token", with_token(&"A".repeat(20_000)), "Unauthorized(NotBearer)"),
        ("one part", with_token("abc"), "Unauthorized(Malformed)"),
        ("two parts", with_token("abc.def"), "Unauthorized(Malformed)"),
        ("four parts", with_token(&format!("{}.x", good_token())), "Unauthorized(Malformed)"),
        ("empty parts", with_token(".."), "Unauthorized(Malformed)"),
        ("header is no JSON", with_part(0, &encode(b"RS256")), "Unauthorized(Malformed)"),
        ("header is no base64", with_part(0, "$$$"), "Unauthorized(Malformed)"),
        ("header names alg twice", with_part(0, &encode(doubled.as_bytes())), "Unauthorized(Malformed)"),
        ("claims are no JSON", with_part(1, &encode(b"{")), "Unauthorized(Malformed)"),
        ("claims are a list", with_part(1, &encode(b"[]")), "Unauthorized(Malformed)"),
        ("alg none", with_signature(&alg("none"), Signed::Nothing), "Unauthorized(Malformed)"),
        ("alg None", with_signature(&alg("None"), Signed::Nothing), "Unauthorized(Malformed)"),
        ("alg empty", with_signature(&alg(""), by_connector), "Unauthorized(Malformed)"),
        ("alg missing", with_signature(&without(header(), "alg"), by_connector), "Unauthorized(Malformed)"),
        ("alg rs256", with_signature(&alg("rs256"), by_connector), "Unauthorized(Malformed)"),
        (
            "HS256 with the public key as secret",
            with_signature(&alg("HS256"), Signed::Hs256(connector_key().public_der())),
            "Unauthorized(Algorithm)",
        ),
        (
            "HS256 signed, RS256 said",
            with_signature(&header(), Signed::Hs256(connector_key().public_der())),
            "Unauthorized(Signature)",
        ),
        ("RS384", with_signature(&alg("RS384"), Signed::Rs384(connector_key())), "Unauthorized(Algorithm)"),
        ("RS512", with_signature(&alg("RS512"), Signed::Rs512(connector_key())), "Unauthorized(Algorithm)"),
        ("PS256", with_signature(&alg("PS256"), Signed::Ps256(connector_key())), "Unauthorized(Algorithm)"),
        (
            "RS384 signed, RS256 said",
            with_signature(&header(), Signed::Rs384(connector_key())),
            "Unauthorized(Signature)",
        ),
        (
            "PS256 signed, RS256 said",
            with_signature(&header(), Signed::Ps256(connector_key())),
            "Unauthorized(Signature)",
        ),
        ("ES256", with_signature(&alg("ES256"), by_connector), "Unauthorized(Algorithm)"),
        ("a bare digest", with_signature(&header(), Signed::Sha256), "Unauthorized(Signature)"),
        ("no signature", with_signature(&header(), Signed::Nothing), "Unauthorized(Signature)"),
        ("another's signature", with_signature(&header(), by_stranger), "Unauthorized(Signature)"),
        ("tampered signature", with_part(2, &flipped), "Unauthorized(Signature)"),
        ("shortened signature", with_part(2, &signature[..signature.len() - 4]), "Unauthorized(Signature)"),
        ("padded signature", with_part(2, &format!("{signature}==")), "Unauthorized(Signature)"),
        ("tampered claims", with_part(1, &forged_claims), "Unauthorized(Signature)"),
        (
            "tampered header",
            with_part(0, &encode(with(header(), "/typ", json!("jwt")).to_string().as_bytes())),
            "Unauthorized(Signature)",
        ),
        ("no kid", with_signature(&no_kid, by_connector), "Unauthorized(UnknownKey)"),
        ("empty kid", with_signature(&with(header(), "/kid", json!("")), by_connector), "Unauthorized(UnknownKey)"),
        ("unknown kid", with_signature(&with(header(), "/kid", json!("x")), by_connector), "Unauthorized(UnknownKey)"),
        ("kid in another case", with_header(&with(header(), "/kid", json!("GOOD"))), "Unauthorized(UnknownKey)"),
        ("kid of a curve", with_header(&with(header(), "/kid", json!("curve"))), "Unauthorized(UnknownKey)"),
        (
            "kid of an encryption key",
            with_header(&with(header(), "/kid", json!("encryption"))),
            "Unauthorized(UnknownKey)",
        ),
        ("kid is a number", with_header(&with(header(), "/kid", json!(7))), "Unauthorized(Malformed)"),
        ("jku", with_signature(&plus(header(), "jku", json!(evil)), by_stranger), "Unauthorized(Signature)"),
        ("x5u", with_signature(&plus(header(), "x5u", json!(evil)), by_stranger), "Unauthorized(Signature)"),
        ("jwk", with_signature(&plus(header(), "jwk", strangers_jwk.clone()), by_stranger), "Unauthorized(Signature)"),
        (
            "jwk without a kid",
            with_signature(&plus(no_kid.clone(), "jwk", strangers_jwk), by_stranger),
            "Unauthorized(UnknownKey)",
        ),
        ("x5c", with_signature(&plus(header(), "x5c", json!(["MIIC"])), by_stranger), "Unauthorized(Signature)"),
        ("crit", with_header(&plus(header(), "crit", json!(["b64"]))), "Unauthorized(Malformed)"),
        ("no iss", with_claims(&without(claims(), "iss")), "Unauthorized(Issuer)"),
        ("other iss", claim("iss", json!("https://evil.example.com")), "Unauthorized(Issuer)"),
        ("iss with a slash", claim("iss", json!("https://api.botframework.com/")), "Unauthorized(Issuer)"),
        ("iss of another cloud", claim("iss", json!("https://api.botframework.us")), "Unauthorized(Issuer)"),
        ("iss list", claim("iss", json!([ISSUER])), "Unauthorized(Malformed)"),
        (
            "emulator iss v1",
            claim("iss", json!("https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/")),
            "Unauthorized(Issuer)",
        ),
        (
            "emulator iss v2",
            claim("iss", json!("https://login.microsoftonline.com/f8cdef31-a31e-4b4a-93e4-5f571e91255a/v2.0")),
            "Unauthorized(Issuer)",
        ),
        (
            "own tenant's iss",
            claim("iss", json!(format!("https://login.microsoftonline.com/{TENANT}/v2.0"))),
            "Unauthorized(Issuer)",
        ),
        ("no aud", with_claims(&without(claims(), "aud")), "Unauthorized(Audience)"),
        ("other aud", claim("aud", json!("00000000-0000-0000-0000-000000000000")), "Unauthorized(Audience)"),
        ("empty aud", claim("aud", json!("")), "Unauthorized(Audience)"),
        ("aud with a prefix", claim("aud", json!(format!("api://{APP}"))), "Unauthorized(Audience)"),
        ("aud list", claim("aud", json!([APP, "other"])), "Unauthorized(Malformed)"),
        (
            "appid instead of aud",
            with_claims(&plus(without(claims(), "aud"), "appid", json!(APP))),
            "Unauthorized(Audience)",
        ),
        ("no exp", with_claims(&without(claims(), "exp")), "Unauthorized(Expired)"),
        ("exp 301 s ago", claim("exp", json!(now - 301)), "Unauthorized(Expired)"),
        ("exp long ago", claim("exp", json!(0)), "Unauthorized(Expired)"),
        ("exp negative", claim("exp", json!(i64::MIN)), "Unauthorized(Expired)"),
        ("exp is a text", claim("exp", json!((now + 60).to_string())), "Unauthorized(Malformed)"),
        ("exp is huge", claim("exp", json!(u64::MAX)), "Unauthorized(Malformed)"),
        ("exp is null", claim("exp", Value::Null), "Unauthorized(Expired)"),
        ("no nbf", with_claims(&without(claims(), "nbf")), "Unauthorized(NotYetValid)"),
        ("nbf in 301 s", claim("nbf", json!(now + 301)), "Unauthorized(NotYetValid)"),
        ("nbf far ahead", claim("nbf", json!(i64::MAX)), "Unauthorized(NotYetValid)"),
    ]
}

fn activity_corpus() -> Vec<(&'static str, Sent, &'static str)> {
    let signed_by = |kid: &str| with_header(&with(header(), "/kid", json!(kid)));
    let claimed = |url: Value| with_claims(&with(claims(), "/serviceurl", url));
    let sends = |pointer: &str, value: Value| with_activity(&with(activity(), pointer, value));
    let mut tenantless = activity();
    tenantless.pointer_mut("/conversation").unwrap().as_object_mut().unwrap().remove("tenantId");
    let nowhere = with(tenantless.clone(), "/channelData", json!({}));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        ("no channelId", with_activity(&without(activity(), "channelId")), "Forbidden(OtherChannel)"),
        ("blank channelId", sends("/channelId", json!("")), "Forbidden(OtherChannel)"),
        ("null channelId", sends("/channelId", Value::Null), "Forbidden(OtherChannel)"),
        ("channelId in capitals", sends("/channelId", json!("MSTeams")), "Forbidden(OtherChannel)"),
        ("other channelId", sends("/channelId", json!("webchat")), "Forbidden(OtherChannel)"),
        ("emulator channelId", sends("/channelId", json!("emulator")), "Forbidden(OtherChannel)"),
        ("key with other endorsements", signed_by("other-list"), "Forbidden(NotEndorsed)"),
        ("no serviceurl claim", with_claims(&without(claims(), "serviceurl")), "Forbidden(ServiceUrlMismatch)"),
        ("null serviceurl claim", claimed(Value::Null), "Forbidden(ServiceUrlMismatch)"),
        ("empty serviceurl claim", claimed(json!("")), "Forbidden(ServiceUrlMismatch)"),
        (
            "other region claimed",
            claimed(json!("https://smba.trafficmanager.net/emea/")),
            "Forbidden(ServiceUrlMismatch)",
        ),
        ("two slashes claimed", claimed(json!(format!("{SERVICE_URL}/"))), "Forbidden(ServiceUrlMismatch)"),
        (
            "claim in camel case",
            with_claims(&plus(without(claims(), "serviceurl"), "serviceUrl", json!(SERVICE_URL))),
            "Forbidden(ServiceUrlMismatch)",
        ),
        ("no serviceUrl", with_activity(&without(activity(), "serviceUrl")), "Forbidden(ServiceUrlMismatch)"),
        ("other serviceUrl", sends("/serviceUrl", json!("https://evil.example.com/")), "Forbidden(ServiceUrlMismatch)"),
        ("empty on both sides", serviceurl_both(""), "Forbidden(ServiceUrlMismatch)"),
        (
            "both name a stranger",
            serviceurl_both("https://evil.trafficmanager.net/amer/"),
            "Forbidden(UntrustedServiceUrl(NotListed { host: \"evil.trafficmanager.net\" }))",
        ),
        (
            "both say http",
            serviceurl_both("http://smba.trafficmanager.net/amer/"),
            "Forbidden(UntrustedServiceUrl(NotListed { host: \"smba.trafficmanager.net\" }))",
        ),
        (
            "other tenant",
            with_activity(&with(
                with(activity(), "/conversation/tenantId", json!("t")),
                "/channelData/tenant/id",
                json!("t"),
            )),
            "Forbidden(OtherTenant)",
        ),
        ("missing tenant", with_activity(&nowhere), "Forbidden(NoTenant)"),
        (
            "empty tenants",
            with_activity(&with(
                with(activity(), "/conversation/tenantId", json!("")),
                "/channelData/tenant/id",
                json!(""),
            )),
            "Forbidden(NoTenant)",
        ),
        (
            "foreign chat, our tenant beside it",
            sends("/conversation/tenantId", json!("t")),
            "Forbidden(ConflictingTenants)",
        ),
        (
            "our chat, a foreign tenant beside it",
            sends("/channelData/tenant/id", json!("t")),
            "Forbidden(ConflictingTenants)",
        ),
        ("two of our tenants", sends("/channelData/tenant/id", json!("tenant-2")), "Forbidden(ConflictingTenants)"),
        ("oversized body", with_body(vec![b' '; MAX_BODY_BYTES + 1]), "BadBody(TooLarge)"),
        ("empty body", with_body(""), "BadBody(NotJson)"),
        ("no JSON", with_body("type=message"), "BadBody(NotJson)"),
        ("half a body", with_body(&activity().to_string().into_bytes()[..100]), "BadBody(NotJson)"),
        ("not UTF-8", with_body(b"{\"type\":\"\xff\"}".to_vec()), "Forbidden(OtherChannel)"),
        ("two bodies", with_body(format!("{0}{0}", activity())), "BadBody(NotJson)"),
        ("a deep body", with_body(deep), "BadBody(NotAnActivity)"),
        ("a wide body", with_body(format!("[{}]", vec!["[]"; 5_000].join(","))), "BadBody(TooManyParts)"),
        (
            "a body that is only deep",
            with_body(format!("{}{}", "[".repeat(200), "]".repeat(200))),
            "BadBody(NotAnActivity)",
        ),
        ("a list", with_body("[]"), "BadBody(NotAnActivity)"),
        ("null", with_body("null"), "BadBody(NotAnActivity)"),
        ("no type", with_activity(&without(activity(), "type")), "BadBody(NotAnActivity)"),
        (
            "no conversation",
            with_activity(&plus(without(activity(), "conversation"), "x", json!(1))),
            "BadBody(NotAnActivity)",
        ),
        ("a message without an id", with_activity(&without(activity(), "id")), "BadBody(NotAnActivity)"),
    ]
}

#[tokio::test]
async fn whatever_is_not_surely_from_teams_is_refused() {
    let server = key_server().await;
    let auth = auth(&server);
    let corpus = [token_corpus(), activity_corpus()].concat();
    assert!(corpus.len() >= 40, "{}", corpus.len());
    for (name, sent, expected) in corpus {
        let error = auth.check(sent.authorization.as_deref(), &sent.body, now()).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected, "{name}");
        let status = match expected.split('(').next().unwrap() {
            "Unauthorized" => 401,
            "Forbidden" => 403,
            _ => 400,
        };
        assert_eq!(error.status(), status, "{name}");
        assert!(matches!(error.class(), Class::Forbidden | Class::Invalid), "{name}");
    }
    assert_eq!(server.lines(), ["GET /openid", "GET /keys"], "nothing else is ever asked");
}

#[tokio::test]
async fn what_teams_may_send_is_accepted() {
    let server = key_server().await;
    let auth = auth(&server);
    let now = now().as_second();
    let lower = with(claims(), "/serviceurl", json!("https://smba.trafficmanager.net/amer"));
    let mut in_conversation = activity();
    in_conversation["channelData"] = json!({});
    let in_channel_data = with(activity(), "/conversation/tenantId", Value::Null);
    let capital_tenant = with(activity(), "/conversation/tenantId", json!(TENANT.to_uppercase()));
    for (name, sent) in [
        ("as documented", good()),
        ("bearer in lower case", with_authorization(Some(&format!("bearer {}", good_token())))),
        ("aud in capitals", with_claims(&with(claims(), "/aud", json!(APP.to_uppercase())))),
        ("exp 299 s ago", with_claims(&with(claims(), "/exp", json!(now - 299)))),
        ("exp 300 s ago", with_claims(&with(claims(), "/exp", json!(now - 300)))),
        ("nbf in 299 s", with_claims(&with(claims(), "/nbf", json!(now + 299)))),
        ("nbf in 300 s", with_claims(&with(claims(), "/nbf", json!(now + 300)))),
        ("claimed without a slash", with_claims(&lower)),
        ("claimed in capitals", with_claims(&with(claims(), "/serviceurl", json!(SERVICE_URL.to_uppercase())))),
        ("a jku beside a good signature", with_header(&plus(header(), "jku", json!("https://evil.example.com/")))),
        ("tenant only in the conversation", with_activity(&in_conversation)),
        ("tenant only in the channel data", with_activity(&in_channel_data)),
        ("tenant in capitals", with_activity(&capital_tenant)),
        ("key without endorsements", with_header(&with(header(), "/kid", json!("no-list")))),
        ("key with null endorsements", with_header(&with(header(), "/kid", json!("null-list")))),
        ("key with empty endorsements", with_header(&with(header(), "/kid", json!("empty-list")))),
        ("more claims", with_claims(&plus(claims(), "ver", json!("1.0")))),
    ] {
        let verified = auth.check(sent.authorization.as_deref(), &sent.body, now_at(0)).await;
        let verified = verified.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(verified.activity().tenant.as_str(), TENANT, "{name}");
        assert_eq!(verified.into_activity().text, "help", "{name}");
    }
}

#[tokio::test]
async fn what_is_not_legible_costs_its_own_field() {
    let server = key_server().await;
    let auth = auth(&server);
    let whole = activity().to_string();
    let replaced = |old: &str, new: &[u8]| {
        let (before, after) = whole.split_once(old).unwrap();
        with_body([before.as_bytes(), new, after.as_bytes()].concat())
    };
    let deep = format!("{{\"value\":{}{},", "[".repeat(300), "]".repeat(300));
    for (name, sent, person) in [
        ("half an emoji in a name", replaced("\"Kim\"", br#""Kim \ud83d""#), Some("Kim \u{fffd}")),
        ("bad UTF-8 in a name", replaced("\"Kim\"", b"\"Kim \xff\""), Some("Kim \u{fffd}")),
        ("a number instead of a name", replaced("\"Kim\"", b"1e999"), None),
        ("half an emoji in the activity's id", replaced("1793437200000", br"17\ud83d"), Some("Kim")),
        ("a byte order mark", with_body(format!("\u{feff}{whole}")), Some("Kim")),
        ("something behind it", with_body(format!("{whole}\0\n")), Some("Kim")),
        ("a tower", replaced("{", deep.as_bytes()), Some("Kim")),
    ] {
        let verified = auth.check(sent.authorization.as_deref(), &sent.body, now()).await;
        let activity = verified.unwrap_or_else(|error| panic!("{name}: {error:?}")).into_activity();
        assert_eq!(activity.text, "help", "{name}");
        assert_eq!(activity.from.unwrap().name.as_deref(), person, "{name}");
    }
    for (name, sent, expected) in [
        ("the tenant", replaced(TENANT, br"\ud83d"), "Forbidden(ConflictingTenants)"),
        ("the address", replaced("/amer/", br"/amer/\ud83d"), "Forbidden(ServiceUrlMismatch)"),
        ("the channel", replaced("msteams", br"msteams\ud83d"), "Forbidden(OtherChannel)"),
        ("the conversation", replaced("a:1chat", br"a:\ud83d"), "BadBody(NotAnActivity)"),
    ] {
        let error = auth.check(sent.authorization.as_deref(), &sent.body, now()).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected, "{name}");
    }
}

#[tokio::test]
async fn a_token_is_read_as_strictly_as_ever() {
    let server = key_server().await;
    let auth = auth(&server);
    let whole = claims().to_string();
    let check = async |claims: &str| {
        let signed = format!("{}.{}", encode(header().to_string().as_bytes()), encode(claims.as_bytes()));
        let sent = with_token(&format!("{signed}.{}", encode(&connector_key().rs256(&signed))));
        auth.check(sent.authorization.as_deref(), &sent.body, now()).await
    };
    assert!(check(&whole).await.is_ok(), "it is the claim that spoils it");
    for claims in [
        whole.replacen("{", "{\"x\":NaN,", 1),
        whole.replacen("{", "{\"x\":\"\0\",", 1),
        whole.replacen(APP, &format!("{APP}\\ud83d"), 1),
        whole.replacen("\"exp\":", "\"exp\":1e999,\"x\":", 1),
        format!("\u{feff}{whole}"),
        format!("{whole}\0"),
    ] {
        let error = check(&claims).await.unwrap_err();
        assert_eq!(format!("{error:?}"), "Unauthorized(Malformed)", "{claims}");
    }
}

#[tokio::test]
async fn a_key_that_is_not_legible_costs_itself_and_no_limit_of_another() {
    let server = Server::start(|_| reply(500, "")).await;
    let document = metadata(&server.base).to_string();
    let keys = json!({ "keys": [key("good", json!(["msteams"])), key("spoilt", json!(["webchat"])), key("unlimited", Value::Null)] });
    let keys = keys.to_string().replacen("[\"webchat\"]", "1e999", 1).replacen("MIIC", "\\ud83d", 1);
    let mut served = publishes(Value::Null, |_| Value::Null);
    server.become_scripted(move |call: &Call| match call.path.as_str() {
        "/openid" => reply(200, format!("\u{feff}{document}\0")),
        "/keys" => reply(200, &keys),
        _ => served(call),
    });
    let auth = auth(&server);
    for (kid, expected) in [("good", 200), ("spoilt", 401), ("unlimited", 200)] {
        assert_eq!(status_at(&auth, kid, now()).await, expected, "{kid}");
    }
}

fn now_at(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() + seconds).unwrap()
}

async fn status_at(auth: &BotAuth, kid: &str, at: Timestamp) -> u16 {
    let times = with(with(claims(), "/nbf", json!(at.as_second())), "/exp", json!(at.as_second() + 60));
    let sent = sent(&with(header(), "/kid", json!(kid)), &times, &activity());
    match auth.check(sent.authorization.as_deref(), &sent.body, at).await {
        Ok(_) => 200,
        Err(error) => error.status(),
    }
}

fn fetches(server: &Server) -> usize {
    server.lines().iter().filter(|line| *line == "GET /openid").count()
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch_per_five_minutes() {
    let server = key_server().await;
    let auth = auth(&server);
    for second in 0..900 {
        assert_eq!(status_at(&auth, &format!("unknown-{second}"), now_at(second)).await, 401);
    }
    assert_eq!(fetches(&server), 3, "at 0 s, 300 s and 600 s");
}

#[tokio::test]
async fn noise_without_the_bots_id_causes_no_fetch() {
    let server = key_server().await;
    let auth = auth(&server);
    let noise = [
        with_authorization(None),
        with_token("a.b.c"),
        with_claims(&with(claims(), "/aud", json!("other"))),
        with_claims(&with(claims(), "/iss", json!("https://evil.example.com"))),
        with_claims(&with(claims(), "/exp", json!(0))),
    ];
    for sent in noise {
        assert!(auth.check(sent.authorization.as_deref(), &sent.body, now()).await.is_err());
    }
    assert_eq!(fetches(&server), 0);
}

#[tokio::test]
async fn a_rotated_key_is_found_after_five_minutes_at_the_latest() {
    let server = key_server().await;
    let auth = auth(&server);
    assert_eq!(status_at(&auth, "good", now_at(0)).await, 200);
    let document = metadata(&server.base);
    let keys = json!({ "keys": [key("new", json!(["msteams"]))] });
    server.become_scripted(publishes(keys, move |_| document.clone()));
    assert_eq!(status_at(&auth, "new", now_at(299)).await, 401);
    assert_eq!(status_at(&auth, "new", now_at(300)).await, 200);
    assert_eq!(status_at(&auth, "good", now_at(300)).await, 401, "a withdrawn key is forgotten");
    assert_eq!(fetches(&server), 2);
}

#[tokio::test]
async fn keys_are_refreshed_once_a_day() {
    let server = key_server().await;
    let auth = auth(&server);
    for (hours, expected) in [(0, 1), (23, 1), (24, 2), (25, 2), (47, 2), (48, 3)] {
        assert_eq!(status_at(&auth, "good", now_at(hours * 3600)).await, 200);
        assert_eq!(fetches(&server), expected, "after {hours} h");
    }
}

#[tokio::test]
async fn a_failed_refresh_keeps_the_old_keys() {
    let failures: [fn(&Call) -> Option<Reply>; 6] = [
        |_| reply(500, ""),
        |_| reply(302, ""),
        |_| reply(200, "no JSON"),
        |_| reply(200, json!({ "jwks_uri": "x".repeat(2 * 1024 * 1024) })),
        |_| reply(200, json!({ "jwks_uri": "ftp://127.0.0.1/keys" })),
        |_| reply(200, json!({ "jwks_uri": "http://127.0.0.1:1/keys" })),
    ];
    for (index, failure) in failures.into_iter().enumerate() {
        let server = key_server().await;
        let auth = auth(&server);
        assert_eq!(status_at(&auth, "good", now_at(0)).await, 200);
        server.become_scripted(failure);
        for hours in [24, 25, 24 * 30] {
            assert_eq!(status_at(&auth, "good", now_at(hours * 3600)).await, 200, "{index}");
        }
        assert_eq!(fetches(&server), 4, "{index}: tried again each time, and never more often than every five minutes");
        assert_eq!(status_at(&auth, "good", now_at(24 * 30 * 3600 + 299)).await, 200);
        assert_eq!(fetches(&server), 4, "{index}");
    }
}

#[tokio::test]
async fn an_empty_key_set_does_not_replace_the_old_keys() {
    let server = key_server().await;
    let auth = auth(&server);
    assert_eq!(status_at(&auth, "good", now_at(0)).await, 200);
    let document = metadata(&server.base);
    server.become_scripted(publishes(json!({ "keys": [] }), move |_| document.clone()));
    assert_eq!(status_at(&auth, "good", now_at(86_400)).await, 200);
    assert_eq!(fetches(&server), 2);
}

#[tokio::test]
async fn without_any_key_the_answer_is_503_until_they_come() {
    let server = Server::start(|_| reply(503, "")).await;
    let auth = auth(&server);
    let sent = good();
    let error = auth.check(sent.authorization.as_deref(), &sent.body, now()).await.unwrap_err();
    assert_eq!(format!("{error:?}"), "KeysUnavailable(Status(503))");
    assert_eq!((error.status(), error.class()), (503, Class::Retry { after: None }));
    let document = metadata(&server.base);
    server.become_scripted(publishes(key_set(), move |_| document.clone()));
    assert_eq!(status_at(&auth, "good", now()).await, 200);
}

#[tokio::test]
async fn the_issuer_is_the_clouds_that_the_metadata_names() {
    let gov = "https://api.botframework.us";
    for (named, accepted) in [
        (json!(ISSUER), ISSUER),
        (json!(gov), gov),
        (json!("https://api.botframework.azure.cn"), "https://api.botframework.azure.cn"),
        (json!("https://evil.example.com"), ISSUER),
        (Value::Null, ISSUER),
    ] {
        let server = Server::start(|_| reply(500, "")).await;
        let document = plus(metadata(&server.base), "issuer", named.clone());
        server.become_scripted(publishes(key_set(), move |_| document.clone()));
        let auth = auth(&server);
        for issuer in [ISSUER, gov, "https://api.botframework.azure.cn", "https://evil.example.com"] {
            let sent = with_claims(&with(claims(), "/iss", json!(issuer)));
            let checked = auth.check(sent.authorization.as_deref(), &sent.body, now()).await;
            assert_eq!(checked.is_ok(), issuer == accepted, "{named} and {issuer}");
        }
    }
}

#[tokio::test]
async fn callers_that_come_together_wait_for_one_fetch() {
    let server = key_server().await;
    let auth = auth(&server);
    let all = tokio::join!(
        status_at(&auth, "good", now()),
        status_at(&auth, "good", now()),
        status_at(&auth, "unknown", now()),
        status_at(&auth, "good", now()),
    );
    assert_eq!(all, (200, 200, 401, 200));
    assert_eq!(fetches(&server), 1);
}

#[tokio::test]
async fn a_refusal_tells_nothing_of_the_token() {
    let server = key_server().await;
    let auth = auth(&server);
    for (name, sent, _) in [token_corpus(), activity_corpus()].concat() {
        let error = auth.check(sent.authorization.as_deref(), &sent.body, now()).await.unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let told = format!("{error} {source:?} {error:?}");
        assert!(!told.contains("eyJ"), "{name}: {told}");
    }
}
