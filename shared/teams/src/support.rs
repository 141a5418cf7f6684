//! What the tests need: a client, a server that does as it is told, keys and tokens.

use std::sync::{Arc, Mutex, OnceLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
};
use aws_lc_rs::{digest, hmac};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Response;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;

pub(crate) const APP: &str = "2d4c17a6-0000-4000-8000-00000000b077";
pub(crate) const TENANT: &str = "7e4a0000-0000-4000-8000-0000000000aa";

pub(crate) fn now() -> Timestamp {
    "2026-11-23T09:00:00Z".parse().unwrap()
}

pub(crate) fn http() -> reqwest::Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

/// A request as the server saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What the server answers; `None` is no answer at all.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

#[expect(clippy::needless_pass_by_value, reason = "a test reads better without references")]
pub(crate) fn reply(status: u16, body: impl ToString) -> Option<Reply> {
    Some(Reply { status, headers: Vec::new(), body: body.to_string() })
}

type Script = Box<dyn FnMut(&Call) -> Option<Reply> + Send>;

/// A server on a free port of this machine that notes every request.
pub(crate) struct Server {
    pub(crate) base: String,
    calls: Arc<Mutex<Vec<Call>>>,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub(crate) async fn start(script: impl FnMut(&Call) -> Option<Reply> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let shared = (Arc::clone(&calls), Arc::clone(&script));
        let app = Router::new().fallback(move |request: Request| answer(request, shared.clone()));
        #[expect(clippy::disallowed_methods, reason = "the server has to run beside the test")]
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base, calls, script }
    }

    pub(crate) fn become_scripted(&self, script: impl FnMut(&Call) -> Option<Reply> + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.calls().iter().map(Call::line).collect()
    }
}

async fn answer(request: Request, (calls, script): (Arc<Mutex<Vec<Call>>>, Arc<Mutex<Script>>)) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let text = |name| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        authorization: text(AUTHORIZATION),
        content_type: text(CONTENT_TYPE),
        body: to_bytes(body, usize::MAX).await.unwrap().to_vec(),
    };
    let reply = (script.lock().unwrap())(&call);
    calls.lock().unwrap().push(call);
    let Some(reply) = reply else { return std::future::pending().await };
    let builder = Response::builder().status(reply.status);
    let builder = reply.headers.into_iter().fold(builder, |builder, (name, value)| builder.header(name, value));
    builder.body(Body::from(reply.body)).unwrap()
}

/// An RSA key pair.
pub(crate) struct RsaKey(KeyPair);

/// The Connector's key.
pub(crate) fn connector_key() -> &'static RsaKey {
    static KEY: OnceLock<RsaKey> = OnceLock::new();
    KEY.get_or_init(RsaKey::generate)
}

/// A stranger's key.
pub(crate) fn strangers_key() -> &'static RsaKey {
    static KEY: OnceLock<RsaKey> = OnceLock::new();
    KEY.get_or_init(RsaKey::generate)
}

impl RsaKey {
    fn generate() -> Self {
        Self(KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// The public key as PKCS #1 DER.
    pub(crate) fn public_der(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// Modulus and exponent in base64: of 2048 bits, they are always at the same places.
    pub(crate) fn components(&self) -> (String, String) {
        let der = self.public_der();
        (encode(&der[9..265]), encode(&der[der.len() - 3..]))
    }

    pub(crate) fn rs256(&self, message: &str) -> Vec<u8> {
        self.sign(&RSA_PKCS1_SHA256, message)
    }

    fn sign(&self, algorithm: &'static dyn RsaEncoding, message: &str) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(algorithm, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        signature
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// How a token is signed.
#[derive(Clone, Copy)]
pub(crate) enum Signed<'a> {
    Rs256(&'a RsaKey),
    Rs384(&'a RsaKey),
    Rs512(&'a RsaKey),
    Ps256(&'a RsaKey),
    Hs256(&'a [u8]),
    Sha256,
    Nothing,
}

pub(crate) fn token(header: &Value, claims: &Value, signed: Signed<'_>) -> String {
    let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = match signed {
        Signed::Rs256(key) => key.sign(&RSA_PKCS1_SHA256, &message),
        Signed::Rs384(key) => key.sign(&RSA_PKCS1_SHA384, &message),
        Signed::Rs512(key) => key.sign(&RSA_PKCS1_SHA512, &message),
        Signed::Ps256(key) => key.sign(&RSA_PSS_SHA256, &message),
        Signed::Hs256(secret) => {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes()).as_ref().to_vec()
        }
        Signed::Sha256 => digest::digest(&digest::SHA256, message.as_bytes()).as_ref().to_vec(),
        Signed::Nothing => Vec::new(),
    };
    format!("{message}.{}", encode(&signature))
}
