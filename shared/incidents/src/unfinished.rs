//! What is unfinished, for whoever watches.

use domain::behind::Behind;
use domain::channel::State;
use domain::ids::{AccountId, ChannelId};
use runtime::App;

/// What is unfinished in a channel, and what its sender has left. `None`: nothing is, and no storm is followed.
pub async fn unfinished_in(
    app: &App,
    account: &AccountId,
    channel: &ChannelId,
) -> Result<Option<(Vec<Behind>, State)>, store::Error> {
    let set = app.store.behind_set(account, channel);
    let (set, state) = tokio::try_join!(set, app.store.channel_state(account, channel))?;
    Ok(Some((set, state)).filter(|(set, state)| !set.is_empty() || !state.storms.is_empty()))
}
