//! Who logged in, as a signed token. It is put together by hand, so that it does not share a mistake with a library that
//! checks it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::pagerduty::{FOREIGN_ACCOUNT, FOREIGN_SUBDOMAIN, PagerDuty};

/// The documents say `identity.pagerduty.com`, the token that they show and the live metadata say this.
const ISSUER: &str = "https://app.pagerduty.com/global/oauth/anonymous";
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// Signs id tokens.
pub(in crate::pagerduty) struct SigningKey {
    pair: RsaKeyPair,
    kid: String,
}

impl SigningKey {
    #[expect(clippy::expect_used, reason = "a simulator that cannot sign is of no use")]
    pub(super) fn generate() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
        let kid = encoded(digest(&SHA256, pair.public_key().as_ref())).chars().take(27).collect();
        Self { pair, kid }
    }

    fn sign(&self, claims: &Value) -> String {
        let head = json!({ "alg": "RS256", "typ": "JWT", "kid": self.kid, "x5t": self.kid });
        let text = format!("{}.{}", encoded(head.to_string()), encoded(claims.to_string()));
        let mut bytes = vec![0; self.pair.public_modulus_len()];
        if self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut bytes).is_err() {
            bytes.clear();
        }
        format!("{text}.{}", encoded(bytes))
    }

    pub(super) fn jwks(&self) -> Value {
        let parts: RsaPublicKeyComponents<Vec<u8>> = self.pair.public_key().into();
        json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "x5t": self.kid,
            "n": encoded(parts.n), "e": encoded(parts.e),
        }] })
    }
}

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// OpenID discovery.
pub(in crate::pagerduty) fn metadata(base: &str) -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{base}/oauth/authorize"),
        "token_endpoint": format!("{base}/oauth/token"),
        "jwks_uri": format!("{base}/global/oauth/anonymous/jwks"),
        "response_types_supported": ["code"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
    })
}

impl PagerDuty {
    /// Id tokens from now on name another issuer, for example one that nobody should believe.
    pub fn issue_as(&self, issuer: &str) {
        self.lock().passing.issuer = Some(issuer.to_owned());
    }

    pub(super) fn id_token(&self, user: &str, access_token: &str) -> String {
        let options = &self.inner.options;
        let (jti, sid, delegation, now, issuer, is_foreign) = {
            let mut state = self.lock();
            let issuer = state.passing.issuer.clone().unwrap_or_else(|| ISSUER.to_owned());
            let is_foreign = state.foreigner(user).is_some();
            (state.ids.uuid(), state.ids.uuid(), state.ids.uuid(), state.passing.now.as_second(), issuer, is_foreign)
        };
        let (account, subdomain) = if is_foreign {
            (FOREIGN_ACCOUNT, FOREIGN_SUBDOMAIN)
        } else {
            (options.account_id.as_str(), options.subdomain.as_str())
        };
        let hash = digest(&SHA256, access_token.as_bytes());
        let half = hash.as_ref().get(..16).unwrap_or_default();
        let claims = json!({
            "iss": issuer,
            "aud": ["https://api.pagerduty.com", options.client_id],
            "azp": options.client_id,
            "sub": user,
            "user_id": user,
            "account_id": account,
            "subdomain": subdomain,
            "region": "UnitedStates",
            "purpose": "id",
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME.as_secs(),
            "auth_time": now,
            "jti": jti,
            "sid": sid,
            "delegation_id": delegation,
            "at_hash": encoded(half),
            "acr": "urn:se:curity:authentication:html-form:pagerduty",
            "amr": "urn:se:curity:authentication:html-form:pagerduty",
            "product_abilities": [],
        });
        self.key().sign(&claims)
    }
}
