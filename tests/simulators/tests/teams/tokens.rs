//! The token endpoint, and tokens that come with activities.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use simulators::teams::{Fault, Flaw};

use crate::world::{APP_ID, START_MS, TENANT, World, activities, good_form, text_activity};
use reqwest::Method;

#[tokio::test]
async fn a_token_is_given_to_the_right_bot_only() {
    let world = World::new().await;
    let got = world.ask_token(TENANT, &good_form()).await;
    assert_eq!((got.status, &got.body["token_type"], &got.body["expires_in"]), (200, &json!("Bearer"), &json!(3599)));

    // tenant, changed field, its value, status, error, Entra's code
    let table = [
        (TENANT, "grant_type", "", 400, "invalid_request", 900_144),
        (TENANT, "grant_type", "password", 400, "unsupported_grant_type", 70_003),
        ("botframework.com", "scope", "https://api.botframework.com/.default", 400, "invalid_request", 90_002),
        (TENANT, "client_id", "another", 400, "unauthorized_client", 700_016),
        (TENANT, "client_secret", "wrong", 401, "invalid_client", 7_000_215),
        (TENANT, "scope", "https://graph.microsoft.com/.default", 400, "invalid_scope", 1_002_012),
    ];
    for (tenant, field, value, status, error, code) in table {
        let form = good_form().map(|(name, good)| (name, if name == field { value } else { good }));
        let got = world.ask_token(tenant, &form).await;
        let found = (got.status, got.text("/error"), got.body["error_codes"].clone());
        assert_eq!(found, (status, error.to_owned(), json!([code])), "{field}={value}");
        assert!(got.text("/error_description").starts_with(&format!("AADSTS{code}: ")));
        assert!(
            !got.body.to_string().contains(value) || value.is_empty() || field == "scope",
            "the secret is not repeated"
        );
    }
    let no_form =
        world.http.post(format!("{}{TENANT}/oauth2/v2.0/token", world.base)).json(&json!({})).send().await.unwrap();
    assert_eq!(no_form.status(), 400);
    assert_eq!(world.teams.take_complaints().len(), table.len() + 1);
    assert_eq!(world.teams.token_requests(), 8);
    world.finish();
}

#[tokio::test]
async fn a_secret_that_was_changed_ends_the_old_one() {
    let world = World::new().await;
    world.teams.change_client_secret("another");
    let got = world.ask_token(TENANT, &good_form()).await;
    assert_eq!((got.status, got.body["error_codes"].clone()), (401, json!([7_000_215])));
    let form = good_form().map(|(name, good)| (name, if name == "client_secret" { "another" } else { good }));
    assert_eq!(world.ask_token(TENANT, &form).await.status, 200);
    assert_eq!(world.teams.take_complaints().len(), 1);
    world.finish();
}

#[tokio::test]
async fn the_connector_wants_a_living_token() {
    let (world, _, channel, _) = World::with_team().await;
    let path = activities(&channel);
    let send = || world.call(Method::POST, &path, text_activity("hi"));
    world.teams.set_token_lifetime(600);
    assert_eq!(send().await.status, 201);
    world.advance_ms(599_999);
    assert_eq!(send().await.status, 201);
    world.advance_ms(1);
    assert_eq!(send().await.status, 401, "ended");
    world.forget_token();
    assert_eq!(send().await.status, 201);
    world.teams.revoke_tokens();
    assert_eq!(send().await.status, 401, "revoked");
    assert_eq!(world.teams.complaints(), Vec::<String>::new(), "that happens to every bot");

    let url = format!("{}v3{path}", world.teams.service_url());
    for authorization in [None, Some("Bearer made-up"), Some("Basic abc")] {
        let mut request = world.http.post(&url).json(&text_activity("hi"));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        assert_eq!(request.send().await.unwrap().status(), 401, "{authorization:?}");
    }
    assert_eq!(world.teams.take_complaints().len(), 3);
    assert_eq!(world.teams.messages(&channel).len(), 3);
    world.finish();
}

#[tokio::test]
async fn the_token_endpoint_can_fail() {
    let world = World::new().await;
    world.teams.fail_next_token(1, &Fault::status(503, "temporarily_unavailable"));
    let got = world.ask_token(TENANT, &good_form()).await;
    assert_eq!((got.status, got.text("/error").as_str()), (503, "temporarily_unavailable"));
    world.teams.fail_next_token(1, &Fault::NoAnswer);
    let url = format!("{}{TENANT}/oauth2/v2.0/token", world.base);
    assert!(world.http.post(url).form(&good_form()).send().await.is_err());
    assert_eq!(world.ask_token(TENANT, &good_form()).await.status, 200);
    world.finish();
}

/// The checks that every bot owes, with a library that the simulator does not use.
async fn accepts(world: &World, authorization: Option<&str>, activity: &Value) -> Result<(), String> {
    let get = |url: String| async { world.http.get(url).send().await.unwrap().json::<Value>().await.unwrap() };
    let metadata = get(format!("{}v1/.well-known/openidconfiguration", world.base)).await;
    assert_eq!(metadata["issuer"], "https://api.botframework.com");
    let keys = get(metadata["jwks_uri"].as_str().unwrap().to_owned()).await;

    let token = authorization.and_then(|header| header.strip_prefix("Bearer ")).ok_or("no bearer")?;
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let jwk = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"].as_str() == header.kid.as_deref())
        .ok_or("unknown key")?;
    let key = DecodingKey::from_rsa_components(jwk["n"].as_str().unwrap(), jwk["e"].as_str().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[APP_ID]);
    validation.set_issuer(&["https://api.botframework.com"]);
    // The simulator's clock is not the machine's: times are checked below.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    let claims = jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(|error| error.to_string())?.claims;
    let now = START_MS / 1000;
    if claims["exp"].as_i64().unwrap() + 300 <= now || claims["nbf"].as_i64().unwrap() - 300 > now {
        return Err("time".to_owned());
    }
    if !jwk["endorsements"].as_array().unwrap().contains(&activity["channelId"]) {
        return Err("endorsement".to_owned());
    }
    if claims["serviceurl"] != activity["serviceUrl"] { Err("serviceurl".to_owned()) } else { Ok(()) }
}

#[tokio::test]
async fn only_a_token_without_a_flaw_passes() {
    let (world, _, channel, ada) = World::with_team().await;
    let activity = world.teams.message_activity(&ada, &channel, "help").unwrap();
    for (flaw, good) in [(Flaw::None, true)].into_iter().chain(Flaw::ALL.map(|flaw| (flaw, false))) {
        world.teams.send_flawed(activity.clone(), flaw).await.unwrap();
        let received = world.bot.last();
        let authorization = received.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let verdict = accepts(&world, authorization.as_deref(), &received.activity).await;
        assert_eq!(verdict.is_ok(), good, "{flaw:?}: {verdict:?}");
    }
    world.finish();
}

#[tokio::test]
async fn keys_rotate_with_and_without_an_overlap() {
    let (world, _, channel, ada) = World::with_team().await;
    let header = |world: &World| world.bot.last().headers["authorization"].to_str().unwrap().to_owned();
    world.teams.say(&ada, &channel, "one").await.unwrap();
    let (first, activity) = (header(&world), world.bot.last().activity);
    world.teams.rotate_keys(true);
    world.teams.say(&ada, &channel, "two").await.unwrap();
    let second = header(&world);
    assert_eq!(accepts(&world, Some(&first), &activity).await, Ok(()), "the old key is still published");
    assert_eq!(accepts(&world, Some(&second), &activity).await, Ok(()));
    world.teams.rotate_keys(false);
    world.teams.say(&ada, &channel, "three").await.unwrap();
    assert_eq!(accepts(&world, Some(&header(&world)), &activity).await, Ok(()));
    assert_eq!(accepts(&world, Some(&second), &activity).await, Err("unknown key".to_owned()));
    world.finish();
}
