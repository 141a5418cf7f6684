//! What people write to the bot: `linkUser`, `unlinkUser`, `help`.

use domain::linking::AccountLink;
use runtime::App;
use teams::activity::Activity;

use crate::once::{self, Turn};
use crate::private::{self, PrivateError};

/// Runs the command in `text`; the answer is a private message.
pub(crate) async fn run(app: &App, activity: &Activity, text: &str) {
    let key = format!("activity/{}/{}", activity.conversation.id, activity.id);
    match once::begin(app, &key).await {
        Ok(Turn::Act) => {}
        Ok(Turn::InProgress | Turn::Done) => return,
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), "command not run");
            return;
        }
    }
    match answer(app, activity, text).await {
        Ok(()) => once::finish(app, &key).await,
        Err(error) => {
            tracing::error!(error = runtime::chain(&error), "command failed");
            once::give_up(app, &key).await;
        }
    }
}

async fn answer(app: &App, activity: &Activity, text: &str) -> Result<(), PrivateError> {
    let word = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    match word.as_str() {
        "linkuser" => link(app, activity).await,
        "unlinkuser" => unlink(app, activity).await,
        "help" | "" => private::send(app, activity, &cards::help()).await,
        _ => private::send(app, activity, &cards::unknown_command(&word)).await,
    }
}

async fn link(app: &App, activity: &Activity) -> Result<(), PrivateError> {
    private::send_link(app, activity, None, None).await
}

/// Deletes the links and with them the tokens; PagerDuty keeps nothing that could still act.
async fn unlink(app: &App, activity: &Activity) -> Result<(), PrivateError> {
    let deleted: Vec<AccountLink> = app.store.delete_links(&activity.tenant, private::user(activity)?).await?;
    let card = if deleted.is_empty() { cards::nothing_to_unlink() } else { cards::unlinked(&deleted) };
    private::send(app, activity, &card).await
}
