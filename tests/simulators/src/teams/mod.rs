//! Microsoft Teams as seen by a bot: Entra's token endpoint, the connector, the people who write and click, and the signed
//! activities that reach the bot.
//!
//! It is stricter than the service where the documentation is vague, and it remembers every version of every message, so that a
//! test can ask whether a card ever went back in time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use crate::Now;

mod activities;
mod answer;
mod card_actions;
mod card_check;
mod connector;
mod delivery;
mod faults;
mod front_door;
mod ids;
mod keys;
mod lifecycle;
mod model;
mod outgoing;
mod people;
mod phones;
mod place;
mod posting;
mod roster;
mod server;
mod sign_in;
mod throttle;
mod tokens;
mod values;
mod world;

pub use answer::{Choice, Effect, HttpAnswer, Mistake, Task};
pub use card_actions::Wanted;
pub use faults::Fault;
pub use keys::{Flaw, Signer};
pub use model::{ChannelKind, Counters, Delivery, Message, Notice, NoticeKind, Revision, User};
pub use throttle::Limits;
pub use world::{ChannelInfo, TeamInfo};

use keys::Keys;
use model::{State, Watch};

/// The bot's display name in Teams.
pub const BOT_NAME: &str = "PagerBridge";

const FIRST_REGION: &str = "amer";
/// Documented for message extensions; no figure is known for cards, so the same is used.
const INVOKE_BUDGET: Duration = Duration::from_secs(5);

/// The bot's registration.
#[derive(Clone)]
pub struct Options {
    /// The bot's Entra application id.
    pub app_id: String,
    /// Its client secret.
    pub client_secret: String,
    /// The tenant of its registration; people and teams belong to it unless said otherwise.
    pub tenant: String,
    /// Where activities are sent.
    pub bot_endpoint: Url,
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("app_id", &self.app_id)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// One simulated Teams. Clones share it.
#[derive(Clone)]
pub struct Teams {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    now: Now,
    keys: Keys,
    places: Mutex<Places>,
    /// The bot, if it is called in this process.
    receiver: Mutex<Option<Router>>,
    state: Mutex<State>,
}

/// Addresses, known only after the servers listen.
struct Places {
    base: String,
    bot: Url,
    invoke_budget: Duration,
}

impl fmt::Debug for Teams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Teams").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Teams {
    /// An empty Teams: no people, no teams.
    #[must_use]
    pub fn new(now: Now, options: Options) -> Self {
        let places = Places { base: String::new(), bot: options.bot_endpoint.clone(), invoke_budget: INVOKE_BUDGET };
        let state = State { region: FIRST_REGION.to_owned(), ..State::default() };
        let inner = Inner {
            options,
            now,
            keys: Keys::default(),
            places: Mutex::new(places),
            receiver: Mutex::default(),
            state: Mutex::new(state),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Token endpoint, key documents and connector. Every other path is answered with 404 and remembered.
    pub fn router(&self) -> Router {
        server::router(self.clone())
    }

    /// For Microsoft's Agents Playground, whose activities are unsigned: `POST /api/messages` signs them and passes them on to the
    /// bot, and `/playground/connector/…` checks the bot's token before passing its calls on to `playground`, the Playground's own
    /// connector (by default `http://localhost:56150/_connector`). To be merged with [`Teams::router`]; only for the local stack.
    pub fn front_door_router(&self, playground: Url) -> Router {
        front_door::router(self.clone(), playground)
    }

    /// Tells under which address [`Teams::router`] is served; it becomes part of every `serviceUrl`.
    pub fn set_base(&self, base: &str) {
        self.places().base = base.trim_end_matches('/').to_owned();
    }

    /// The address without a slash at its end.
    #[must_use]
    pub fn base(&self) -> String {
        self.places().base.clone()
    }

    /// Moves the bot's endpoint.
    pub fn set_bot_endpoint(&self, bot: Url) {
        self.places().bot = bot;
    }

    /// Calls the bot in this process instead of its address.
    pub fn deliver_to(&self, bot: Router) {
        *self.inner.receiver.lock().unwrap_or_else(PoisonError::into_inner) = Some(bot);
    }

    /// How long a client waits for the answer to a click, in real time. 5 s at first.
    pub fn set_invoke_budget(&self, budget: Duration) {
        self.places().invoke_budget = budget;
    }

    /// The `serviceUrl` of new activities.
    #[must_use]
    pub fn service_url(&self) -> String {
        format!("{}/connector/{}/", self.base(), self.lock().region)
    }

    /// Moves all conversations to another region: activities carry a new `serviceUrl`, the old one is no longer served.
    pub fn move_to_region(&self, region: &str) {
        region.clone_into(&mut self.lock().region);
    }

    /// A new key signs from now on; the old one stays published if `keep_old`.
    pub fn rotate_keys(&self, keep_old: bool) {
        self.inner.keys.rotate(keep_old);
    }

    /// The `Authorization` header of an activity for this address, right or wrong as asked.
    ///
    /// # Errors
    /// The system makes no RSA key.
    pub fn authorization(&self, service_url: &str, flaw: Flaw) -> Result<Option<String>, Mistake> {
        self.keys().authorization(&self.options().app_id, service_url, self.now(), flaw)
    }

    /// The id of the key that signs now.
    #[must_use]
    pub fn signing_key(&self) -> Option<String> {
        self.keys().signing()
    }

    /// How often somebody fetched the signing keys.
    #[must_use]
    pub fn key_requests(&self) -> u32 {
        self.keys().asked()
    }

    /// A token of exactly these two texts, whatever they say: nobody but a forger needs one.
    ///
    /// # Errors
    /// The system makes no RSA key.
    pub fn forge(&self, header: &str, claims: &str, signer: Signer) -> Result<String, Mistake> {
        self.keys().forge(header, claims, signer)
    }

    /// The next connector requests fail, wherever they go.
    pub fn fail_next(&self, times: usize, fault: &Fault) {
        self.lock().passing.faults.anywhere(times, fault);
    }

    /// The next connector requests about this channel or chat fail; to be ordered by its id.
    pub fn fail_next_in(&self, conversation: &str, times: usize, fault: &Fault) {
        self.lock().passing.faults.in_conversation(conversation, times, fault);
    }

    /// From now on no request about this channel or chat is answered, or again every one.
    pub fn hang_in(&self, conversation: &str, hangs: bool) {
        self.lock().passing.faults.hang_in(conversation, hangs);
    }

    /// From now on every request fails that has this text in its body.
    pub fn never_take(&self, text: &str, fault: &Fault) {
        self.lock().passing.faults.never_take(text, fault);
    }

    /// Shows `watch` each message of the bot when it is accepted, and again after each edit. It must not ask the simulator anything.
    /// Without `keep` neither cards nor earlier contents are remembered afterwards: a long run has a hundred thousand of them.
    pub fn watch(&self, keep: bool, watch: impl Fn(&Message) + Send + Sync + 'static) {
        self.lock().passing.watch = Watch { watch: Some(Arc::new(watch)), forgets: !keep };
    }

    /// The next token requests fail. A fault's code becomes the body's `error`.
    pub fn fail_next_token(&self, times: usize, fault: &Fault) {
        self.lock().passing.faults.at_token_endpoint(times, fault);
    }

    /// Faults on order that nobody ran into yet.
    #[must_use]
    pub fn pending_faults(&self) -> usize {
        self.lock().passing.faults.pending()
    }

    /// Takes all orders back.
    pub fn clear_faults(&self) {
        self.lock().passing.faults.clear();
    }

    /// Every token that was issued is refused from now on.
    pub fn revoke_tokens(&self) {
        self.lock().passing.tokens.revoke_all();
    }

    /// The bot has another secret from now on, and the old one is refused. Tokens that were issued stay good.
    pub fn change_client_secret(&self, secret: &str) {
        self.lock().passing.tokens.expect_secret(secret);
    }

    /// `expires_in` of tokens that are issued from now on, in seconds.
    pub fn set_token_lifetime(&self, seconds: i64) {
        self.lock().passing.tokens.live_for(seconds);
    }

    /// How often the token endpoint was asked, with or without success.
    #[must_use]
    pub fn token_requests(&self) -> u32 {
        self.lock().passing.tokens.requests()
    }

    /// Rate limits on (as at first) or off, whatever their size; what was counted is forgotten.
    pub fn set_throttling(&self, on: bool) {
        self.lock().passing.windows.switch(on);
    }

    /// Scales every rate limit to so many percent of the published one, but never below one request, and switches them on.
    pub fn set_limits(&self, percent: u32) {
        self.lock().passing.windows.scale(percent);
    }

    /// The present rate limits; nothing if they are off.
    #[must_use]
    pub fn limits(&self) -> Option<Limits> {
        self.lock().passing.windows.limits()
    }

    /// How many requests were refused with 429 because of a rate limit, in all conversations. Faults on order do not count.
    #[must_use]
    pub fn refused_by_limits(&self) -> u64 {
        u64::from(self.all_counters().throttled)
    }

    /// Requests for which there is no documentation, as `METHOD path`.
    #[must_use]
    pub fn unknown_requests(&self) -> Vec<String> {
        self.lock().passing.unknown_requests.clone()
    }

    /// Everything that only a bot with a mistake sends: malformed cards and activities, too big ones, foreign tokens, answers that no
    /// client can read.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.lock().passing.complaints.clone()
    }

    /// What phones would not show or not carry out of the cards that the bot has posted, or has given in answer to a click. Teams
    /// itself takes all of it.
    #[must_use]
    pub fn dead_on_phones(&self) -> Vec<String> {
        self.lock().passing.dead_on_phones.clone()
    }

    /// Returns the complaints and forgets them: for tests that provoke one.
    pub fn take_complaints(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().passing.complaints)
    }

    /// Everything worth keeping, for [`Teams::restore`]. Tokens, keys, faults and rate windows are not part of it.
    ///
    #[must_use]
    pub fn snapshot(&self) -> Value {
        serde_json::to_value(&*self.lock()).unwrap_or_default()
    }

    /// Puts a snapshot in the place of everything there is.
    ///
    /// # Errors
    /// The value is no snapshot; nothing changed then.
    pub fn restore(&self, snapshot: Value) -> Result<(), serde_json::Error> {
        let state = serde_json::from_value(snapshot)?;
        *self.lock() = state;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.inner.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        (self.inner.now)()
    }

    fn options(&self) -> &Options {
        &self.inner.options
    }

    fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    fn bot_id(&self) -> String {
        format!("28:{}", self.inner.options.app_id)
    }

    fn new_guid(&self) -> String {
        let now = self.now();
        self.lock().ids.guid(now)
    }
}
