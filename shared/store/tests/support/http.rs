//! The SDK's way to an emulator on this machine.

use std::sync::Arc;

use aws_sdk_dynamodb::config::SharedHttpClient;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

pub(crate) fn http() -> SharedHttpClient {
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
    wire::Wire::from(client).for_aws()
}
