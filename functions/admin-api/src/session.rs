//! Who asks: the session of the cookie, PagerDuty's word on the role, and for writes the header that only our page can send.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use domain::connection::Installation;
use domain::ids::TeamId;
use domain::permission::Rank;
use incidents::place;
use jiff::SignedDuration;
use runtime::{App, SecretError, SecretValues};
use setup::{Actor, SESSION_COOKIE, SESSION_IDLE};
use store::{Session, Via};

use crate::error::Refusal;

/// The header of writes. A foreign page can make a browser send the cookie, but not this.
pub(crate) const CSRF_HEADER: &str = "x-pagerbridge-csrf";

/// For how long a role is believed that PagerDuty has confirmed, for reading; before a write it is asked again.
const BELIEVED: SignedDuration = SignedDuration::from_mins(1);

/// That a session is in use is noted at most so often: a write for each request would cost more than it tells.
const SEEN_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// An admin who is logged in, may do what they ask for, and whose own page asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) session: Session,
    pub(crate) csrf: String,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let cookie = Cookie::of(app, &parts.headers).await?.ok_or(Refusal::NotLoggedIn)?;
        let session = alive(app, &cookie.secret).await?.ok_or(Refusal::NotLoggedIn)?;
        let writes = parts.method != Method::GET;
        if writes {
            cookie.check(&parts.headers)?;
        }
        let session = confirmed(app, &cookie.secret, session, writes).await?;
        Ok(Self { session, csrf: cookie.csrf })
    }
}

/// A cookie of ours, whatever has become of its session.
pub(crate) struct Cookie {
    pub(crate) secret: String,
    csrf: String,
}

impl Cookie {
    /// `None`: the browser has none.
    pub(crate) async fn of(app: &App, headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let Some(secret) = runtime::cookie(headers, SESSION_COOKIE).map(str::to_owned) else { return Ok(None) };
        let csrf = csrf(&*app.secrets.values(app.clock.now()).await?, &secret)?;
        Ok(Some(Self { secret, csrf }))
    }

    /// Whether our own page asks.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let given = headers.get(CSRF_HEADER).map_or(&b""[..], |value| value.as_bytes());
        if runtime::same_tag(&self.csrf, given) { Ok(()) } else { Err(Refusal::NoCsrf) }
    }
}

/// The cookie's session. One that nobody has used for a while is over, and ended here: every request counts as use, since the
/// page asks for nothing by itself.
async fn alive(app: &App, secret: &str) -> Result<Option<Session>, store::Error> {
    let now = app.clock.now();
    let Some(session) = app.store.session(secret, now).await? else { return Ok(None) };
    if now.duration_since(session.last_seen()) < SESSION_IDLE {
        return Ok(Some(session));
    }
    app.store.delete_session(secret).await?;
    Ok(None)
}

/// The session as it goes on: seen just now, and of an admin. A failure of PagerDuty's says nothing of the role and ends nothing,
/// and the person was seen all the same.
async fn confirmed(app: &App, secret: &str, mut session: Session, writes: bool) -> Result<Session, Refusal> {
    let now = app.clock.now();
    let before = session.clone();
    if now.duration_since(session.last_seen()) >= SEEN_EVERY || session.seen_at.is_none() {
        session.seen_at = Some(now);
    }
    // A rank that this version does not know says nothing.
    let is_unsure = session.admin.rank < Rank::Admin || now.duration_since(session.checked_at) >= BELIEVED;
    let confirmed = if writes || is_unsure { confirm_role(app, secret, &mut session).await } else { Ok(()) };
    if matches!(confirmed, Err(Refusal::NotAdmin)) {
        return Err(Refusal::NotAdmin);
    }
    // Somebody who logs out at the same time stays logged out.
    if session != before && !app.store.update_session(secret, &session).await? {
        return Err(Refusal::NotLoggedIn);
    }
    confirmed.map(|()| session)
}

/// A role that was taken away at PagerDuty counts here as well, and ends the session: whoever gets it back logs in again.
async fn confirm_role(app: &App, secret: &str, session: &mut Session) -> Result<(), Refusal> {
    let known = setup::admin(app, &session.admin.user).await?;
    let Some(admin) = known.filter(|admin| admin.rank >= Rank::Admin) else {
        app.store.delete_session(secret).await?;
        tracing::warn!(pagerduty.user = %session.admin.user, "a session has ended with its admin's role");
        return Err(Refusal::NotAdmin);
    };
    (session.admin, session.checked_at) = (admin, app.clock.now());
    Ok(())
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
