//! Deliveries that a scenario signs itself.

use secrecy::SecretString;

/// A webhook subscription with its secret.
#[derive(Clone)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// How a delivery is signed.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) subscription: Option<String>,
    secret: String,
    pub(crate) signature: Option<Option<String>>,
}

impl Subscription {
    pub(crate) fn with_secret(&self, secret: &str) -> Self {
        Self { secret: secret.to_owned(), ..self.clone() }
    }
}

impl Signed {
    pub(crate) fn by(subscription: &Subscription) -> Self {
        Self { subscription: Some(subscription.id.clone()), secret: subscription.secret.clone(), signature: None }
    }

    pub(crate) fn without_subscription(self) -> Self {
        Self { subscription: None, ..self }
    }

    pub(crate) fn of_subscription(self, id: &str) -> Self {
        Self { subscription: Some(id.to_owned()), ..self }
    }

    pub(crate) fn without_signature(self) -> Self {
        Self { signature: Some(None), ..self }
    }

    pub(crate) fn with_signature(self, signature: &str) -> Self {
        Self { signature: Some(Some(signature.to_owned())), ..self }
    }

    pub(crate) fn signature(&self, body: &[u8]) -> String {
        pagerduty::webhook::sign(&SecretString::from(self.secret.clone()), body)
    }
}
