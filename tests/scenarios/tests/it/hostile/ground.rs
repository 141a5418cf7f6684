//! The stack in this process, as a stranger meets it: requests in, answers out, and what was touched for them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, header};
use local::aws::Call;
use local::inside::{Delays, Inside};
use serde_json::Value;
use simulators::teams::Flaw;
use tower_service::Service as _;

use crate::world::START;

/// The second tenant whose people may use the bot.
pub(super) const OTHER_TENANT: &str = "12121212-3434-4565-8787-909090909090";

/// The stack, with its functions' routers as one.
pub(super) struct Ground {
    pub(super) inside: Inside,
    router: Router,
}

/// What a request was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Ground {
    /// Two tenants may use the bot; nothing is set up.
    pub(super) async fn new() -> Self {
        let tenants = "99999999-8888-4777-8666-555555555555,".to_owned() + OTHER_TENANT;
        Self::with(&[("TEAMS_ALLOWED_TENANTS", &tenants)], None).await
    }

    /// With these variables, and somebody at all addresses but those of PagerDuty, Teams and AWS.
    pub(super) async fn with(variables: &[(&str, &str)], elsewhere: Option<Router>) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment: BTreeMap<String, String> = variables.collect();
        let inside = Box::pin(Inside::compose_with(START, Delays::default(), environment, elsewhere)).await.unwrap();
        let app = &inside.app;
        let router = webhook_ingest::router(app.clone())
            .merge(bot_messages::router(app.clone()))
            .merge(oauth_callback::router(app.clone()))
            .merge(admin_api::router(app.clone()));
        inside.aws.watch(Duration::ZERO);
        Self { inside, router }
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        let (head, body) = match self.router.clone().call(request).await {
            Ok(response) => response.into_parts(),
            Err(never) => match never {},
        };
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: head.status.as_u16(), body }
    }

    /// An activity, with a token that Teams could have sent with it.
    pub(super) async fn activity(&self, activity: &Value) -> Answer {
        let service_url = activity["serviceUrl"].as_str().unwrap_or_default();
        let authorization = self.inside.teams.authorization(service_url, Flaw::None).unwrap().unwrap();
        self.messages(Some(&authorization), activity.to_string().into_bytes()).await
    }

    /// `POST /api/messages`.
    pub(super) async fn messages(&self, authorization: Option<&str>, body: Vec<u8>) -> Answer {
        let mut request =
            Request::post("/api/messages").header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.ask(request.body(Body::from(body)).unwrap()).await
    }

    /// The calls of AWS since this was asked last.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.inside.aws.take_calls()
    }

    /// Delivers webhooks and drains channels until nothing is left to do.
    pub(super) async fn settle(&self) {
        for _ in 0..200 {
            if self.work(1).await == 0 && self.inside.queued() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("the stack does not come to rest");
    }

    /// Delivers webhooks and drains channels, each so many times. Gives how much there was to do.
    pub(super) async fn work(&self, times: usize) -> usize {
        let Inside { app, pagerduty, .. } = &self.inside;
        let mut done = 0;
        for _ in 0..times {
            done += pagerduty.deliver().await;
            for _ in 0..self.inside.queued() {
                let batch = self.inside.receive(0).await.unwrap();
                let Some(receipt) = batch.records.first().and_then(|message| message.receipt_handle.clone()) else {
                    break;
                };
                done += 1;
                // A tenant is sent forty messages a second at most.
                tokio::time::sleep(Duration::from_millis(30)).await;
                let response = Box::pin(notification_sender::handle(app, batch, Duration::from_secs(60))).await;
                if response.batch_item_failures.is_empty() {
                    self.inside.delete(&receipt).await.unwrap();
                }
            }
        }
        done
    }
}
