use domain::failure::Class;
use serde_json::json;

use super::*;
use crate::support::{APP, Call, Reply, Server, TENANT, http, now, reply};

const CHANNEL: &str = "19:incidents@thread.tacv2";
const USER: &str = "00000000-0000-4000-8000-000000000001";
const TOKEN: &str = "/tenant/oauth2/v2.0/token";

/// A token endpoint and a connector on one server; `connector` answers what is not about tokens.
async fn teams(mut connector: impl FnMut(&Call) -> Option<Reply> + Send + 'static) -> Server {
    let mut issued = 0;
    Server::start(move |call| {
        if call.path != TOKEN {
            return connector(call);
        }
        issued += 1;
        reply(200, json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": format!("token-{issued}") }))
    })
    .await
}

fn connector(server: &Server) -> Connector {
    let token_url = format!("{}{TOKEN}", server.base).parse().unwrap();
    let tokens =
        TokenSource::new(http().into(), token_url, APP.to_owned(), "https://api.botframework.com/.default".to_owned());
    let hosts = TrustedHosts::new(["127.0.0.1".to_owned()]).unwrap();
    Connector::new(http().into(), tokens, hosts, APP)
}

struct Caller {
    connector: Connector,
    service_url: ServiceUrl,
    secret: SecretString,
    now: Timestamp,
}

fn caller(server: &Server) -> Caller {
    Caller {
        connector: connector(server),
        service_url: url(&format!("{}/amer/", server.base)),
        secret: SecretString::from("s3cret&="),
        now: now(),
    }
}

fn url(text: &str) -> ServiceUrl {
    ServiceUrl::new(text).unwrap()
}

fn channel() -> ChannelId {
    ChannelId::new(CHANNEL).unwrap()
}

fn card() -> cards::Card {
    cards::nothing_to_unlink()
}

fn card_message(conversation: &str) -> Value {
    json!({
        "type": "message",
        "from": { "id": format!("28:{APP}") },
        "conversation": { "id": conversation },
        "summary": card().summary,
        "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "content": card().content }],
    })
}

impl Caller {
    fn auth(&self) -> ConnectorAuth<'_> {
        ConnectorAuth { secret: &self.secret, now: self.now }
    }

    async fn post(&self) -> Result<ActivityId, ConnectorError> {
        let tenant = TenantId::new(TENANT).unwrap();
        self.connector.post_to_channel(&self.auth(), &self.service_url, &channel(), &tenant, &card()).await
    }

    async fn edit(&self, activity: &str) -> Result<(), ConnectorError> {
        let activity = ActivityId::new(activity).unwrap();
        self.connector.edit(&self.auth(), &self.service_url, &channel(), &activity, &card()).await
    }

    async fn reply(&self) -> Result<ActivityId, ConnectorError> {
        let root = ActivityId::new("1793437200000").unwrap();
        self.connector.reply_in_thread(&self.auth(), &self.service_url, &channel(), &root, "Kim *resolved* it").await
    }

    async fn open(&self) -> Result<ConversationId, ConnectorError> {
        let (tenant, user) = (TenantId::new(TENANT).unwrap(), EntraUserId::new(USER).unwrap());
        self.connector.open_personal_chat(&self.auth(), &self.service_url, &tenant, &user).await
    }

    async fn send(&self, conversation: &str) -> Result<ActivityId, ConnectorError> {
        let conversation = ConversationId::new(conversation).unwrap();
        self.connector.send_to_chat(&self.auth(), &self.service_url, &conversation, &card()).await
    }
}

/// The one call that is not about tokens.
fn only_call(server: &Server) -> Call {
    let calls: Vec<Call> = server.calls().into_iter().filter(|call| call.path != TOKEN).collect();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0].authorization.as_deref(), Some("Bearer token-1"));
    assert_eq!(calls[0].content_type.as_deref(), Some("application/json; charset=utf-8"));
    calls[0].clone()
}

#[tokio::test]
async fn a_post_starts_a_thread_in_the_channel() {
    for answer in [
        json!({ "id": format!("{CHANNEL};messageid=1793437200000"), "activityId": "1793437200000" }),
        json!({ "id": format!("{CHANNEL};messageid=1793437200000") }),
        json!({ "id": "conversation", "activityId": "1793437200000", "serviceUrl": "https://evil.example.com" }),
    ] {
        let server = teams(move |_| reply(201, &answer)).await;
        assert_eq!(caller(&server).post().await.unwrap().as_str(), "1793437200000");
        let call = only_call(&server);
        assert_eq!(call.line(), "POST /amer/v3/conversations");
        let expected = json!({
            "isGroup": true,
            "bot": { "id": format!("28:{APP}") },
            "tenantId": TENANT,
            "channelData": { "channel": { "id": CHANNEL }, "tenant": { "id": TENANT } },
            "activity": card_message(CHANNEL),
        });
        assert_eq!(call.json(), expected);
    }
}

#[tokio::test]
async fn a_reply_is_plain_text_in_the_thread() {
    let server = teams(|_| reply(201, json!({ "id": "1793437200999" }))).await;
    assert_eq!(caller(&server).reply().await.unwrap().as_str(), "1793437200999");
    let call = only_call(&server);
    let encoded = "19%3Aincidents%40thread.tacv2%3Bmessageid%3D1793437200000";
    assert_eq!(call.line(), format!("POST /amer/v3/conversations/{encoded}/activities"));
    let expected = json!({
        "type": "message",
        "from": { "id": format!("28:{APP}") },
        "conversation": { "id": format!("{CHANNEL};messageid=1793437200000") },
        "text": "Kim *resolved* it",
        "textFormat": "plain",
    });
    assert_eq!(call.json(), expected);
}

#[tokio::test]
async fn an_edit_replaces_the_message() {
    for answer in [reply(200, json!({ "id": "1793437200000" })), reply(200, ""), reply(202, "{}")] {
        let server = teams(move |_| answer.clone()).await;
        caller(&server).edit("1793437200000").await.unwrap();
        let call = only_call(&server);
        let path = "/amer/v3/conversations/19%3Aincidents%40thread.tacv2/activities/1793437200000";
        assert_eq!((call.line(), call.json()), (format!("PUT {path}"), card_message(CHANNEL)));
    }
}

#[tokio::test]
async fn a_personal_chat_is_opened_by_the_entra_id() {
    let server = teams(|_| reply(201, json!({ "id": "a:1chat" }))).await;
    assert_eq!(caller(&server).open().await.unwrap().as_str(), "a:1chat");
    let call = only_call(&server);
    assert_eq!(call.line(), "POST /amer/v3/conversations");
    let expected = json!({
        "isGroup": false,
        "bot": { "id": format!("28:{APP}") },
        "members": [{ "id": USER }],
        "tenantId": TENANT,
        "channelData": { "tenant": { "id": TENANT } },
    });
    assert_eq!(call.json(), expected);
}

#[tokio::test]
async fn a_card_is_sent_to_a_chat() {
    let server = teams(|_| reply(201, json!({ "id": "1" }))).await;
    assert_eq!(caller(&server).send("a:1ch/at?x=%2e#".trim_end_matches('#')).await.unwrap().as_str(), "1");
    let call = only_call(&server);
    assert_eq!(call.line(), "POST /amer/v3/conversations/a%3A1ch%2Fat%3Fx%3D%252e/activities");
    assert_eq!(call.json(), card_message("a:1ch/at?x=%2e"));
}

#[tokio::test]
async fn an_id_cannot_lead_to_another_address() {
    let server = teams(|_| reply(200, "{}")).await;
    let caller = caller(&server);
    for id in [".", ".."] {
        assert!(matches!(caller.edit(id).await, Err(ConnectorError::BadAddress)), "{id}");
        assert!(matches!(caller.send(id).await, Err(ConnectorError::BadAddress)), "{id}");
    }
    assert_eq!(server.lines(), Vec::<String>::new());
}

fn kind(error: &ConnectorError) -> String {
    let debug = format!("{error:?}");
    debug.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_refusal_has_its_meaning() {
    let unclear = Class::Unclear;
    let later = |seconds: Option<u64>| Class::Retry { after: seconds.map(Duration::from_secs) };
    for (status, code, retry_after, expected, class) in [
        (400, "BadArgument", None, "Refused", Class::Invalid),
        (400, "BadSyntax", None, "Refused", Class::Invalid),
        (400, "", None, "Refused", Class::Invalid),
        (402, "", None, "Refused", Class::Invalid),
        (403, "BotDisabledByAdmin", None, "ConversationGone", Class::Gone),
        (403, "BotNotInConversationRoster", None, "ConversationGone", Class::Gone),
        (403, "ConversationBlockedByUser", None, "ConversationGone", Class::Gone),
        (403, "MessageWritesBlocked", None, "ConversationGone", Class::Gone),
        (403, "ForbiddenOperationException", None, "Forbidden", Class::Forbidden),
        (403, "NotEnoughPermissions", None, "Forbidden", Class::Forbidden),
        (403, "InvalidBotApiHost", None, "WrongHost", Class::Bug),
        (403, "", None, "Forbidden", Class::Forbidden),
        (403, "SomethingNew", None, "Forbidden", Class::Forbidden),
        (404, "ConversationNotFound", None, "ConversationNotFound", Class::Gone),
        (404, "MemberNotFoundInConversation", None, "ConversationGone", Class::Gone),
        (404, "ActivityNotFoundInConversation", None, "ActivityGone", Class::Gone),
        (404, "", None, "ConversationNotFound", Class::Gone),
        (400, "ActivityNotFoundInConversation", None, "ActivityGone", Class::Gone),
        (405, "ActivityNotFoundInConversation", None, "ActivityGone", Class::Gone),
        (408, "", None, "Failed", unclear),
        (410, "", None, "ConversationGone", Class::Gone),
        (412, "PreconditionFailed", None, "Busy", later(None)),
        (412, "PreconditionFailed", Some("2"), "Busy", later(Some(2))),
        (413, "MessageSizeTooBig", None, "TooBig", Class::Invalid),
        (429, "Throttled", None, "Throttled", later(None)),
        (429, "Throttled", Some("7"), "Throttled", later(Some(7))),
        (429, "", Some("Mon, 23 Nov 2026 09:00:09 GMT"), "Throttled", later(Some(9))),
        (500, "ServiceError", None, "Failed", unclear),
        (501, "", None, "Failed", unclear),
        (502, "ServiceError", None, "Failed", unclear),
        (503, "", Some("30"), "Failed", unclear),
        (504, "", None, "Failed", unclear),
        (507, "", None, "Failed", unclear),
        (301, "", None, "WrongHost", Class::Bug),
        (307, "", None, "WrongHost", Class::Bug),
    ] {
        let server = teams(move |_| {
            let mut answer =
                reply(status, json!({ "error": { "code": code, "message": "text that nobody may log" } }))?;
            answer.headers.push(("X-Correlating-OperationId", "op-1".to_owned()));
            answer.headers.extend(retry_after.map(|text| ("Retry-After", text.to_owned())));
            Some(answer)
        })
        .await;
        let caller = caller(&server);
        let errors = [
            caller.post().await.unwrap_err(),
            caller.edit("1793437200000").await.unwrap_err(),
            caller.reply().await.unwrap_err(),
            caller.open().await.unwrap_err(),
            caller.send("a:1chat").await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!((kind(&error).as_str(), error.class()), (expected, class), "{status} {code}");
            let for_good = matches!(expected, "Refused" | "Forbidden" | "TooBig");
            assert_eq!(error.is_for_good(), for_good, "{status} {code}");
            assert_eq!(error.is_outage(), matches!(status, 502..=504), "{status} {code}");
            let asked = retry_after.map(|text| Duration::from_secs(text.parse().unwrap_or(9)));
            assert_eq!(error.retry_after(), asked, "{status} {code}");
            let known = if code.is_empty() { error.reason() } else { code };
            assert_eq!(error.reason(), known);
            assert!(!error.reason().is_empty());
            let told = error.to_string();
            let answer = if code.is_empty() { status.to_string() } else { format!("{status} {code}") };
            assert!(told.contains(&format!("{answer}, operation op-1")), "{told}");
            assert!(!told.contains("nobody may log"), "{told}");
        }
        assert_eq!(server.calls().len(), 6, "{status} {code}: one token, and no call is repeated");
    }
}

#[tokio::test]
async fn a_deleted_message_is_told_in_more_than_one_way() {
    for (status, code, of_an_edit, of_a_post) in [
        (404, "ActivityNotFoundInConversation", "ActivityGone", "ActivityGone"),
        (400, "ActivityNotFoundInConversation", "ActivityGone", "ActivityGone"),
        (405, "ActivityNotFoundInConversation", "ActivityGone", "ActivityGone"),
        (405, "", "ActivityGone", "Refused"),
        (403, "ServiceError", "ActivityGone", "Forbidden"),
        (403, "NotEnoughPermissions", "Forbidden", "Forbidden"),
        (400, "BadSyntax", "Refused", "Refused"),
        (404, "ConversationNotFound", "ConversationNotFound", "ConversationNotFound"),
    ] {
        let server = teams(move |_| reply(status, json!({ "error": { "code": code } }))).await;
        let caller = caller(&server);
        let (edit, post, reply) = (
            caller.edit("1793437200000").await.unwrap_err(),
            caller.post().await.unwrap_err(),
            caller.reply().await.unwrap_err(),
        );
        let told = (kind(&edit), kind(&post), kind(&reply));
        let expected = (of_an_edit.to_owned(), of_a_post.to_owned(), of_a_post.to_owned());
        assert_eq!(told, expected, "{status} {code}");
    }
}

#[tokio::test]
async fn a_blocked_chat_is_recognised_by_its_sub_code() {
    for body in [
        json!({ "subCode": "MessageWritesBlocked", "error": { "code": "Forbidden" } }),
        json!({ "error": { "code": "Forbidden", "subCode": "MessageWritesBlocked" } }),
    ] {
        let server = teams(move |_| reply(403, &body)).await;
        let error = caller(&server).send("a:1chat").await.unwrap_err();
        assert_eq!((error.class(), error.reason()), (Class::Gone, "MessageWritesBlocked"));
    }
    let server =
        teams(|_| reply(403, json!({ "subCode": "x", "error": { "code": "BotNotInConversationRoster" } }))).await;
    assert_eq!(caller(&server).post().await.unwrap_err().reason(), "BotNotInConversationRoster");
}

#[tokio::test]
async fn a_success_without_an_id_is_unclear() {
    for (status, body) in [(202, ""), (201, "{}"), (201, "[]"), (200, "<html>"), (201, r#"{"id":"a b"}"#)] {
        let server = teams(move |_| reply(status, body)).await;
        let caller = caller(&server);
        for error in [
            caller.post().await.unwrap_err(),
            caller.reply().await.unwrap_err(),
            caller.open().await.unwrap_err(),
            caller.send("a:1chat").await.unwrap_err(),
        ] {
            assert_eq!((kind(&error).as_str(), error.class()), ("NoId", Class::Unclear), "{status} {body}");
        }
    }
    let server = teams(|_| reply(201, " ".repeat(100_000))).await;
    assert_eq!(caller(&server).post().await.unwrap_err().class(), Class::Unclear);
}

#[tokio::test]
async fn no_answer_is_unclear_and_no_connection_is_not() {
    let server = teams(|call| if call.method == "PUT" { reply(200, "{}") } else { None }).await;
    let mut caller = caller(&server);
    // Gets token and connection, so that only the answer can be late.
    caller.edit("1").await.unwrap();
    caller.connector = caller.connector.clone().with_timeout(Duration::from_millis(200));
    let error = caller.post().await.unwrap_err();
    assert_eq!((kind(&error).as_str(), error.class()), ("NoAnswer", Class::Unclear));

    let server = teams(|_| reply(201, "{}")).await;
    let mut caller = super::tests::caller(&server);
    caller.service_url = url("http://127.0.0.1:1/amer/");
    let error = caller.post().await.unwrap_err();
    assert_eq!((kind(&error).as_str(), error.class()), ("NotReached", Class::Retry { after: None }));
    assert!(!format!("{error:?}").contains("amer"), "an address does not belong into a log line");
}

#[tokio::test]
async fn the_token_is_asked_for_as_documented_and_kept() {
    let server = teams(|_| reply(200, "{}")).await;
    let mut caller = caller(&server);
    let start = now();
    for (seconds, expected) in [(0, "token-1"), (3298, "token-1"), (3299, "token-2"), (3300, "token-2")] {
        caller.now = Timestamp::from_second(start.as_second() + seconds).unwrap();
        caller.edit("1").await.unwrap();
        let last = server.calls().pop().unwrap();
        assert_eq!(last.authorization, Some(format!("Bearer {expected}")), "after {seconds} s");
    }
    let asked = server.calls().remove(0);
    assert_eq!(asked.line(), format!("POST {TOKEN}"));
    assert_eq!(asked.content_type.as_deref(), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.authorization, None);
    let form = format!(
        "grant_type=client_credentials&client_id={APP}&client_secret=s3cret%26%3D\
         &scope=https%3A%2F%2Fapi.botframework.com%2F.default"
    );
    assert_eq!(String::from_utf8(asked.body).unwrap(), form);
}

#[tokio::test]
async fn clones_and_callers_that_come_together_share_one_token() {
    let server = teams(|_| reply(200, "{}")).await;
    let one = caller(&server);
    let other = Caller {
        connector: one.connector.clone(),
        secret: one.secret.clone(),
        service_url: one.service_url.clone(),
        now: one.now,
    };
    let (first, second, third) = tokio::join!(one.edit("1"), other.edit("2"), one.edit("3"));
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!(server.lines().iter().filter(|line| line.ends_with(TOKEN)).count(), 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let server = teams(|call| match call.authorization.as_deref() {
        Some("Bearer token-1") => reply(401, json!({ "error": { "code": "Unauthorized" } })),
        _ => reply(201, json!({ "id": "9" })),
    })
    .await;
    let caller = caller(&server);
    assert_eq!(caller.send("a:1chat").await.unwrap().as_str(), "9");
    assert_eq!(caller.send("a:1chat").await.unwrap().as_str(), "9");
    let send = "POST /amer/v3/conversations/a%3A1chat/activities";
    let token = format!("POST {TOKEN}");
    assert_eq!(server.lines(), [&token, send, &token, send, send]);

    let server = teams(|_| reply(401, json!({ "error": { "code": "BotNotRegistered" } }))).await;
    let error = super::tests::caller(&server).send("a:1chat").await.unwrap_err();
    assert_eq!(
        (kind(&error).as_str(), error.class(), error.reason()),
        ("Unauthorized", Class::Bug, "BotNotRegistered")
    );
    assert_eq!(server.lines(), [&token, send, &token, send]);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let busy = |seconds: Option<u64>| Class::Retry { after: seconds.map(Duration::from_secs) };
    let expired =
        json!({ "error": "invalid_client", "error_description": "AADSTS7000222: secret", "error_codes": [7_000_222] });
    for (status, body, class, told) in [
        (
            400,
            json!({ "error": "invalid_request" }),
            Class::Bug,
            "the token endpoint refuses the bot (400 invalid_request, AADSTS [])",
        ),
        (401, expired, Class::Bug, "the token endpoint refuses the bot (401 invalid_client, AADSTS [7000222])"),
        (404, json!("x"), Class::Bug, "the token endpoint refuses the bot (404 , AADSTS [])"),
        (302, json!({}), Class::Bug, "the token endpoint refuses the bot (302 , AADSTS [])"),
        (429, json!({}), busy(Some(5)), "the token endpoint is busy (429)"),
        (500, json!({}), busy(Some(5)), "the token endpoint is busy (500)"),
        (503, json!({}), busy(Some(5)), "the token endpoint is busy (503)"),
        (200, json!({}), Class::Bug, "the token endpoint's answer cannot be read"),
        (
            200,
            json!({ "token_type": "mac", "access_token": "t" }),
            Class::Bug,
            "the token endpoint's answer cannot be read",
        ),
        (
            200,
            json!({ "token_type": "Bearer", "access_token": "" }),
            Class::Bug,
            "the token endpoint's answer cannot be read",
        ),
    ] {
        let server = Server::start(move |call| {
            assert_eq!(call.path, TOKEN);
            let mut answer = reply(status, &body)?;
            answer.headers.push(("Retry-After", "5".to_owned()));
            Some(answer)
        })
        .await;
        let error = caller(&server).post().await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!((error.class(), source.as_str(), error.reason()), (class, told, "NoToken"), "{status}");
        assert_eq!(error.refuses_client(), status == 401, "{status}");
        assert_eq!(server.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_token_of_unknown_or_short_life_is_used_once() {
    for (expires_in, calls) in
        [(json!(null), 4), (json!(300), 4), (json!("3599"), 3), (json!(i64::MAX), 3), (json!(-5), 4)]
    {
        let server = Server::start(move |call| match call.path.as_str() {
            TOKEN => reply(200, json!({ "token_type": "bearer", "expires_in": expires_in, "access_token": "t" })),
            _ => reply(200, "{}"),
        })
        .await;
        let caller = caller(&server);
        caller.edit("1").await.unwrap();
        caller.edit("1").await.unwrap();
        assert_eq!(server.calls().len(), calls);
    }
}

#[tokio::test]
async fn the_token_never_leaves_for_an_untrusted_host() {
    let server = teams(|_| reply(201, json!({ "id": "1" }))).await;
    let port = server.base.rsplit(':').next().unwrap().to_owned();
    let mut caller = caller(&server);
    for host in ["localhost", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]", "user@127.0.0.1", "127.0.0.1.", "0x7f000001"] {
        caller.service_url = url(&format!("http://{host}:{port}/amer/"));
        let tenant = TenantId::new(TENANT).unwrap();
        let errors = [
            caller.post().await.err(),
            caller.edit("1").await.err(),
            caller.reply().await.err(),
            caller.open().await.err(),
            caller.send("a:1chat").await.err(),
            caller
                .connector
                .post_to_channel(&caller.auth(), &caller.service_url, &channel(), &tenant, &card())
                .await
                .err(),
        ];
        for error in errors.into_iter().map(Option::unwrap) {
            assert_eq!((kind(&error).as_str(), error.class()), ("UntrustedHost", Class::Bug), "{host}");
        }
    }
    assert_eq!(server.lines(), Vec::<String>::new(), "not even a token is asked for");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(|_| reply(201, json!({ "id": "1" }))).await;
    let location = format!("{}/amer/v3/conversations", elsewhere.base);
    let server = teams(move |_| {
        let mut answer = reply(307, "")?;
        answer.headers.push(("Location", location.clone()));
        Some(answer)
    })
    .await;
    assert!(matches!(caller(&server).post().await, Err(ConnectorError::WrongHost(_))));
    assert_eq!(elsewhere.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn neither_token_nor_secret_is_shown_for_debugging() {
    let server = teams(|_| reply(200, "{}")).await;
    let caller = caller(&server);
    caller.edit("1").await.unwrap();
    let shown = format!("{:?} {:?}", caller.connector, caller.auth());
    assert!(!shown.contains("token-1") && !shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn what_is_not_legible_in_an_answer_costs_itself() {
    let thread = format!("{CHANNEL};messageid=1793437200000");
    for answer in [
        format!("{{\"id\":\"{thread}\",\"activityId\":null,\"text\":\"\\ude00\"}}"),
        "\u{feff}{\"activityId\":\"1793437200000\",\"name\":\"DB \\ud83d\"}".to_owned(),
        "{\"activityId\":\"1793437200000\",\"n\":1e999,\"id\":7}\0".to_owned(),
    ] {
        let server = teams({
            let answer = answer.clone();
            move |_| reply(201, &answer)
        })
        .await;
        assert_eq!(caller(&server).post().await.unwrap().as_str(), "1793437200000", "{answer}");
    }
    // It is there, and nobody knows under which name.
    for answer in ["{\"activityId\":\"17\\ud83d\"}", "{\"id\":\"1\"", "{\"activityId\":1e999}"] {
        let server = teams(move |_| reply(201, answer)).await;
        let error = caller(&server).post().await.unwrap_err();
        assert_eq!((kind(&error).as_str(), error.class()), ("NoId", Class::Unclear), "{answer}");
    }
    let refused = r#"{"error":{"code":"MessageSizeTooBig","message":"\ud83d"},"n":1e999}"#;
    let server = teams(move |_| reply(413, refused)).await;
    assert_eq!(caller(&server).post().await.unwrap_err().reason(), "MessageSizeTooBig");
}

#[tokio::test]
async fn a_list_of_channels_is_read_channel_by_channel_or_not_at_all() {
    let team = TeamId::new("19:team@thread.tacv2").unwrap();
    let whole = r#"{"conversations":[{"id":"19:a@thread.tacv2","name":"A \ud83d"},{"id":"19:\ude00","name":"B"},7,{"id":"19:c@thread.tacv2","name":1e999}]}"#;
    let listed = async |answer: &str| {
        let answer = answer.to_owned();
        let server = teams(move |_| reply(200, &answer)).await;
        let caller = caller(&server);
        caller.connector.channels(&caller.auth(), &caller.service_url, &team).await
    };
    let channels = listed(whole).await.unwrap();
    let names: Vec<_> = channels.iter().map(|channel| (channel.id.as_str(), channel.name.as_deref())).collect();
    assert_eq!(names, [("19:a@thread.tacv2", Some("A \u{fffd}")), ("19:c@thread.tacv2", None)]);
    for cut in [whole.len() - 1, 60, 0] {
        assert_eq!(kind(&listed(&whole[..cut]).await.unwrap_err()), "NoId", "{cut}");
    }
}

#[tokio::test]
async fn a_damaged_token_is_none_and_anything_beside_it_may_be() {
    for (answer, usable) in [
        ("\u{feff}{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"t\"}", true),
        ("{\"token_type\":\"Bearer\",\"expires_in\":1e999,\"access_token\":\"t\",\"x\":\"\\ud83d\"}", true),
        ("{\"token_type\":\"Bearer\",\"access_token\":\"t\\ud83d\"}", false),
        ("{\"token_type\":\"Bearer\",\"access_token\":\"t\"", false),
    ] {
        let server = Server::start(move |call| match call.path.as_str() {
            TOKEN => reply(200, answer),
            _ => reply(201, json!({ "activityId": "1793437200000" })),
        })
        .await;
        assert_eq!(caller(&server).post().await.is_ok(), usable, "{answer}");
    }
}
