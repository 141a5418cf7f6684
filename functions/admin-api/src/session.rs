//! Who asks: the session of the cookie, PagerDuty's word on the role, and for writes the header that only our page can send.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use domain::connection::Installation;
use domain::ids::TeamId;
use domain::permission::Rank;
use incidents::place;
use jiff::SignedDuration;
use runtime::{App, SecretError, SecretValues};
use setup::{Actor, SESSION_COOKIE};
use store::{Session, Via};

use crate::error::Refusal;

/// The header of writes. A foreign page can make a browser send the cookie, but not this.
pub(crate) const CSRF_HEADER: &str = "x-pagerbridge-csrf";

/// For how long a role is believed that PagerDuty has confirmed, for reading; before a write it is asked again.
const BELIEVED: SignedDuration = SignedDuration::from_mins(1);

/// An admin who is logged in, may do what they ask for, and whose own page asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) session: Session,
    /// Of the cookie; to end the session.
    pub(crate) secret: String,
    pub(crate) csrf: String,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let secret = runtime::cookie(&parts.headers, SESSION_COOKIE).ok_or(Refusal::NotLoggedIn)?.to_owned();
        let now = app.clock.now();
        let session = app.store.session(&secret, now).await?.ok_or(Refusal::NotLoggedIn)?;
        let csrf = csrf(&*app.secrets.values(now).await?, &secret)?;
        let writes = parts.method != Method::GET;
        if writes {
            let given = parts.headers.get(CSRF_HEADER).map_or(&b""[..], |value| value.as_bytes());
            if !runtime::same_tag(&csrf, given) {
                return Err(Refusal::NoCsrf);
            }
        }
        let session = confirmed(app, &secret, session, writes).await?;
        Ok(Self { session, secret, csrf })
    }
}

/// A role that was taken away at PagerDuty counts here as well.
async fn confirmed(app: &App, secret: &str, mut session: Session, writes: bool) -> Result<Session, Refusal> {
    let now = app.clock.now();
    if writes || now.duration_since(session.checked_at) >= BELIEVED {
        session.admin = setup::admin(app, &session.admin.user).await?.ok_or(Refusal::NotAdmin)?;
        session.checked_at = now;
        // Somebody who logs out at the same time stays logged out.
        if !app.store.update_session(secret, &session).await? {
            return Err(Refusal::NotLoggedIn);
        }
    }
    if session.admin.rank < Rank::Admin { Err(Refusal::NotAdmin) } else { Ok(session) }
}

impl Caller {
    /// A team of the caller's own account.
    pub(crate) async fn team(&self, app: &App, team: &str) -> Result<Installation, Refusal> {
        let id = TeamId::new(team).map_err(|_| Refusal::NotFound("team"))?;
        place::team(app, &self.session.account, &id).await?.ok_or(Refusal::NotFound("team"))
    }

    pub(crate) fn actor(&self) -> Actor {
        Actor { name: self.session.admin.name.clone(), via: Via::Page }
    }
}

/// Bound to the session; worthless without its cookie.
fn csrf(values: &SecretValues, secret: &str) -> Result<String, SecretError> {
    values.tag(&format!("configuration-page#{secret}"))
}
