//! Who was asked to help with an incident. What is told follows the examples, in which the targets are wrapped and named
//! otherwise than in the schema (openapi: example and schema of `Incident` and `ResponderRequest`).

use serde_json::{Value, json};

use crate::pagerduty::model::{Incident, Request, State};
use crate::pagerduty::references::seconds;

impl State {
    pub(super) fn incidents_responders(&self, incident: &Incident) -> Vec<Value> {
        incident.requests.iter().map(|request| self.responder(incident, request)).collect()
    }

    pub(super) fn responder_requests(&self, incident: &Incident) -> Vec<Value> {
        let told = |request: &Request| {
            json!({
                "id": request.id,
                "incident": self.incident_reference_in_rest(incident),
                "requester": self.user_reference(&request.requester),
                "requested_at": seconds(request.at),
                "message": request.message,
                "responder_request_targets": [{ "responder_request_target": {
                    "type": "user",
                    "id": request.user,
                    "incidents_responders": [self.responder(incident, request)],
                }}],
            })
        };
        incident.requests.iter().map(told).collect()
    }

    fn responder(&self, incident: &Incident, request: &Request) -> Value {
        json!({
            "state": request.state,
            "user": self.user_reference(&request.user),
            "incident": self.incident_reference_in_rest(incident),
            "updated_at": seconds(request.updated_at),
            "message": request.message,
            "requester": self.user_reference(&request.requester),
            "requested_at": seconds(request.at),
        })
    }
}
