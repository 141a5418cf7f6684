//! The sign-in window: a button opens it, its page hands a code over, and Teams passes the code on in the name of whoever pressed
//! the button (Teams docs, "Authentication flow for bots"; the script's `authentication.notifySuccess`).

use serde_json::json;
use url::Url;

use super::values::{part, text};
use super::{HttpAnswer, Mistake, Teams, Wanted, card_actions};

/// What Teams passes on when the person closes the window.
const CANCELLED: &str = "CancelledByUser";

impl Teams {
    /// Where the window leads that a sign-in button opens.
    ///
    /// # Errors
    /// There is no such button, it does something else, or its host is none of the app's `validDomains`: Teams opens no window.
    pub fn sign_in_window<'a>(
        &self,
        user: &str,
        activity: &str,
        button: impl Into<Wanted<'a>>,
    ) -> Result<String, Mistake> {
        let button = button.into();
        let card = self.card_for(user, activity)?;
        let found = card_actions::find(&card, button)?;
        let refused = |why: &str| Mistake::NotClickable { button: button.name.to_owned(), why: why.to_owned() };
        let special = part(&part(&found.action, "data"), "msteams");
        if found.kind() != "Action.Submit" || text(&special, "type") != Some("signin") {
            return Err(refused("it opens no sign-in window"));
        }
        let url = text(&special, "value").and_then(|url| Url::parse(url).ok());
        let url = url.ok_or_else(|| refused("its address is no address"))?;
        // The app's package names one host, the bot's own.
        if url.host() != self.places().bot.host() {
            return Err(refused("its host is none of the app's validDomains"));
        }
        Ok(url.into())
    }

    /// The page in the window of that card has handed over a code.
    ///
    /// # Errors
    /// There is no such card, or the bot does not answer.
    pub async fn sign_in(&self, user: &str, activity: &str, code: &str) -> Result<HttpAnswer, Mistake> {
        let activity = self.invoke(user, activity, "signin/verifyState", json!({ "state": code }))?;
        self.send(activity).await
    }

    /// The person closes the window of that card.
    ///
    /// # Errors
    /// There is no such card, or the bot does not answer.
    pub async fn close_sign_in(&self, user: &str, activity: &str) -> Result<HttpAnswer, Mistake> {
        self.sign_in(user, activity, CANCELLED).await
    }
}
