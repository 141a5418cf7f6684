//! Installation, teams and channels as they change. Each change is told to the bot as Teams tells it, if the bot is there to hear.

use serde_json::{Value, json};

use super::activities::{Place, from_message};
use super::model::{Channel, Team};
use super::values::extend;
use super::{HttpAnswer, Mistake, Teams, User};

impl Teams {
    /// Installs the app in a team, for its General channel, by its first member. Returns the bot's answers.
    ///
    /// # Errors
    /// No such team, or the bot does not answer; the app is installed all the same.
    pub async fn install(&self, team: &str) -> Result<Vec<HttpAnswer>, Mistake> {
        let by = self.first_member(team)?;
        self.install_in(team, team, &by.id).await
    }

    /// Installs the app in a team, with the channel that the person chose for it.
    ///
    /// # Errors
    /// No such team, channel or person, or the bot does not answer; the app is installed all the same.
    pub async fn install_in(&self, team: &str, channel: &str, by: &str) -> Result<Vec<HttpAnswer>, Mistake> {
        let by = self.known_user(by)?;
        let found = self.known_team(team)?;
        found.channel(channel).ok_or_else(|| Mistake::UnknownConversation(channel.to_owned()))?;
        self.set_roster(team, true);
        let settings = json!({ "settings": { "selectedChannel": { "id": channel } } });
        let place = Place::team(&found, channel).with(settings.clone());
        let installed = self.installation("add", &by, place.clone().with(json!({ "channel": { "id": channel } })));
        let members = json!({ "membersAdded": [{ "id": self.bot_id() }] });
        let joined = self.update(&by, place.with(json!({ "eventType": "teamMemberAdded" })), members);
        Ok(vec![self.send(installed).await?, self.send(joined).await?])
    }

    /// Adds the app to a private or shared channel of a team that has it.
    ///
    /// # Errors
    /// No such channel or person, or the bot does not answer; the app is added all the same.
    pub async fn install_in_channel(&self, channel: &str, by: &str) -> Result<Vec<HttpAnswer>, Mistake> {
        let by = self.known_user(by)?;
        let (team, found) = self.change_channel(channel, |found| found.has_app = true)?;
        let place = Place::team(&team, channel).with(json!({ "channel": channel_data(&found) }));
        let settings = json!({ "settings": { "selectedChannel": { "id": channel } } });
        let installed = self.installation("add", &by, place.clone().with(settings));
        let members = json!({ "membersAdded": [{ "id": self.bot_id() }] });
        let joined = self.update(&by, place.with(json!({ "eventType": "channelMemberAdded" })), members);
        Ok(vec![self.send(installed).await?, self.send(joined).await?])
    }

    /// Removes the app from a private or shared channel.
    ///
    /// # Errors
    /// No such channel, or the bot does not answer; the app is removed all the same.
    pub async fn uninstall_from_channel(&self, channel: &str) -> Result<Vec<HttpAnswer>, Mistake> {
        let (team, found) = self.change_channel(channel, |found| found.has_app = false)?;
        let by = self.first_member(&team.id)?;
        let place = Place::team(&team, channel).with(json!({ "channel": channel_data(&found) }));
        let members = json!({ "membersRemoved": [{ "id": self.bot_id() }] });
        let left = self.update(&by, place.clone().with(json!({ "eventType": "channelMemberRemoved" })), members);
        let removed = self.installation("remove", &by, place);
        Ok(vec![self.send(left).await?, self.send(removed).await?])
    }

    /// A new version of the app comes to a team that has it.
    ///
    /// # Errors
    /// No such team, or the bot does not answer.
    pub async fn upgrade(&self, team: &str) -> Result<HttpAnswer, Mistake> {
        let by = self.first_member(team)?;
        let place = Place::team(&self.known_team(team)?, team);
        let upgraded = self.installation("add-upgrade", &by, place.with(json!({ "channel": { "id": team } })));
        self.send(upgraded).await
    }

    /// Removes the app from a team. Returns the bot's answers.
    ///
    /// # Errors
    /// No such team, or the bot does not answer; the app is removed all the same.
    pub async fn uninstall(&self, team: &str) -> Result<Vec<HttpAnswer>, Mistake> {
        let by = self.first_member(team)?;
        let found = self.known_team(team)?;
        self.set_roster(team, false);
        let place = Place::team(&found, team);
        let members = json!({ "membersRemoved": [{ "id": self.bot_id() }] });
        let left = self.update(&by, place.clone().with(json!({ "eventType": "teamMemberRemoved" })), members);
        let removed = self.installation("remove", &by, place.with(json!({ "channel": { "id": team } })));
        Ok(vec![self.send(left).await?, self.send(removed).await?])
    }

    /// Tells only now that the app was removed from a team at `at`, as Teams does after a failed delivery. Changes nothing.
    ///
    /// # Errors
    /// No such team, or the bot does not answer.
    pub async fn tell_of_old_removal(&self, team: &str, at: &str) -> Result<HttpAnswer, Mistake> {
        let by = self.first_member(team)?;
        let place = Place::team(&self.known_team(team)?, team);
        let mut removed = self.installation("remove", &by, place.with(json!({ "channel": { "id": team } })));
        if let Some(timestamp) = removed.get_mut("timestamp") {
            *timestamp = json!(at);
        }
        self.send(removed).await
    }

    /// Installs the app in a person's own scope and opens their chat with the bot. Returns the bot's answers.
    ///
    /// # Errors
    /// No such person, or the bot does not answer; the app is installed all the same.
    pub async fn install_personal(&self, user: &str) -> Result<Vec<HttpAnswer>, Mistake> {
        let user = self.known_user(user)?;
        let chat = self.chat_with(&user);
        self.lock().personal_installs.insert(user.id.clone());
        let settings = json!({ "settings": { "selectedChannel": { "id": chat.id } } });
        let installed = self.installation("add", &user, Place::chat(&chat).with(settings));
        let members =
            json!({ "membersAdded": [{ "id": user.id, "aadObjectId": user.entra }, { "id": self.bot_id() }] });
        let joined = self.update(&user, Place::chat(&chat), members);
        Ok(vec![self.send(installed).await?, self.send(joined).await?])
    }

    /// Removes the app from a person's own scope.
    ///
    /// # Errors
    /// No such person or chat, or the bot does not answer; the app is removed all the same.
    pub async fn uninstall_personal(&self, user: &str) -> Result<HttpAnswer, Mistake> {
        let user = self.known_user(user)?;
        let chat = self.lock().chat_of(&user.id).cloned();
        let chat = chat.ok_or_else(|| Mistake::UnknownConversation(user.id.clone()))?;
        self.lock().personal_installs.remove(&user.id);
        let removed = self.installation("remove", &user, Place::chat(&chat));
        self.send(removed).await
    }

    /// A new channel. Returns its id.
    ///
    /// # Errors
    /// No such team, or the bot does not answer.
    pub async fn create_channel(&self, team: &str, name: &str) -> Result<String, Mistake> {
        self.known_team(team)?;
        let id = self.add_channel(team, name);
        self.tell_of_channel(&id, "channelCreated", json!({})).await?;
        Ok(id)
    }

    /// A new name for a channel.
    ///
    /// # Errors
    /// No such channel, or the bot does not answer.
    pub async fn rename_channel(&self, channel: &str, name: &str) -> Result<Option<HttpAnswer>, Mistake> {
        self.change_channel(channel, |found| name.clone_into(&mut found.name))?;
        self.tell_of_channel(channel, "channelRenamed", json!({})).await
    }

    /// Deletes a channel: calls about it meet 404 from now on.
    ///
    /// # Errors
    /// No such channel, or the bot does not answer.
    pub async fn delete_channel(&self, channel: &str) -> Result<Option<HttpAnswer>, Mistake> {
        self.change_channel(channel, |found| found.deleted = true)?;
        self.tell_of_channel(channel, "channelDeleted", json!({})).await
    }

    /// Brings a deleted channel back.
    ///
    /// # Errors
    /// No such channel, or the bot does not answer.
    pub async fn restore_channel(&self, channel: &str) -> Result<Option<HttpAnswer>, Mistake> {
        self.change_channel(channel, |found| found.deleted = false)?;
        self.tell_of_channel(channel, "channelRestored", json!({})).await
    }

    /// A new name for a team.
    ///
    /// # Errors
    /// No such team, or the bot does not answer.
    pub async fn rename_team(&self, team: &str, name: &str) -> Result<Option<HttpAnswer>, Mistake> {
        self.change_team(team, |found| name.clone_into(&mut found.name))?;
        self.team_event(team, "teamRenamed").await
    }

    /// Deletes a team with all its channels.
    ///
    /// # Errors
    /// No such team, or the bot does not answer.
    pub async fn delete_team(&self, team: &str) -> Result<Option<HttpAnswer>, Mistake> {
        self.change_team(team, |found| found.deleted = true)?;
        self.team_event(team, "teamDeleted").await
    }

    /// Brings a deleted team back.
    ///
    /// # Errors
    /// No such team, or the bot does not answer.
    pub async fn restore_team(&self, team: &str) -> Result<Option<HttpAnswer>, Mistake> {
        self.change_team(team, |found| found.deleted = false)?;
        self.team_event(team, "teamRestored").await
    }

    /// Archives a team: calls that write in it meet 403 from now on, and its people cannot write either.
    ///
    /// # Errors
    /// No such team, or the bot does not answer.
    pub async fn archive_team(&self, team: &str) -> Result<Option<HttpAnswer>, Mistake> {
        self.change_team(team, |found| found.archived = true)?;
        self.team_event(team, "teamArchived").await
    }

    /// Brings an archived team back.
    ///
    /// # Errors
    /// No such team, or the bot does not answer.
    pub async fn unarchive_team(&self, team: &str) -> Result<Option<HttpAnswer>, Mistake> {
        self.change_team(team, |found| found.archived = false)?;
        self.team_event(team, "teamUnarchived").await
    }

    /// Tells that a shared channel was shared with another team.
    ///
    /// # Errors
    /// No such channel or team, or the bot does not answer.
    pub async fn share_channel(&self, channel: &str, with: &str) -> Result<Option<HttpAnswer>, Mistake> {
        let with = self.known_team(with)?;
        self.tell_of_channel(channel, "channelShared", json!({ "sharedWithTeams": [team_data(&with)] })).await
    }

    /// Tells that a shared channel is no longer shared with another team.
    ///
    /// # Errors
    /// No such channel or team, or the bot does not answer.
    pub async fn unshare_channel(&self, channel: &str, with: &str) -> Result<Option<HttpAnswer>, Mistake> {
        let with = self.known_team(with)?;
        self.tell_of_channel(channel, "channelUnshared", json!({ "unsharedFromTeams": [team_data(&with)] })).await
    }

    /// Tells of a team event without changing anything, for example `teamHardDeleted`.
    ///
    /// # Errors
    /// No such team, or the bot does not answer.
    pub async fn team_event(&self, team: &str, event_type: &str) -> Result<Option<HttpAnswer>, Mistake> {
        let by = self.first_member(team)?;
        let found = self.lock().teams.iter().find(|known| known.id == team).cloned();
        let found = found.ok_or_else(|| Mistake::UnknownConversation(team.to_owned()))?;
        self.tell(&by, &found, json!({ "eventType": event_type }), json!({})).await
    }

    /// A person joins a team.
    ///
    /// # Errors
    /// No such team or person, or the bot does not answer.
    pub async fn add_member(&self, team: &str, user: &str) -> Result<Option<HttpAnswer>, Mistake> {
        let user = self.known_user(user)?;
        let found = self.change_team(team, |found| _ = found.members.insert(user.id.clone()))?;
        let members = json!({ "membersAdded": [{ "id": user.id, "aadObjectId": user.entra }] });
        self.tell(&user, &found, json!({ "eventType": "teamMemberAdded" }), members).await
    }

    /// A person leaves a team.
    ///
    /// # Errors
    /// No such team or person, or the bot does not answer.
    pub async fn remove_member(&self, team: &str, user: &str) -> Result<Option<HttpAnswer>, Mistake> {
        let user = self.known_user(user)?;
        let found = self.change_team(team, |found| _ = found.members.remove(&user.id))?;
        let members = json!({ "membersRemoved": [{ "id": user.id, "aadObjectId": user.entra }] });
        self.tell(&user, &found, json!({ "eventType": "teamMemberRemoved" }), members).await
    }

    /// Of a private or shared channel, only a bot hears that is in it.
    async fn tell_of_channel(
        &self,
        channel: &str,
        event_type: &str,
        more: Value,
    ) -> Result<Option<HttpAnswer>, Mistake> {
        let (team, found) = self.change_channel(channel, |_| ())?;
        if !team.bot_is_in(&found) {
            return Ok(None);
        }
        let by = self.first_member(&team.id)?;
        let mut data = json!({ "eventType": event_type, "channel": { "id": channel, "name": found.name } });
        extend(&mut data, more);
        self.tell(&by, &team, data, json!({})).await
    }

    /// Only a bot in the roster hears of a team's changes.
    async fn tell(&self, by: &User, team: &Team, data: Value, more: Value) -> Result<Option<HttpAnswer>, Mistake> {
        if !team.bot_in_roster {
            return Ok(None);
        }
        let activity = self.update(by, Place::team(team, &team.id).with(data), more);
        self.send(activity).await.map(Some)
    }

    fn update(&self, by: &User, place: Place, more: Value) -> Value {
        let frame = self.frame();
        let id = self.lock().ids.event(frame.now);
        let mut activity = frame.event("conversationUpdate", &id, by, place);
        extend(&mut activity, more);
        activity
    }

    fn installation(&self, action: &str, by: &User, place: Place) -> Value {
        let frame = self.frame();
        let id = self.lock().ids.event(frame.now);
        let mut activity = frame.event("installationUpdate", &id, by, place.with(from_message()));
        let client = json!([{ "type": "clientInfo", "locale": "en-US" }]);
        extend(&mut activity, json!({ "action": action, "locale": "en-US", "entities": client }));
        activity
    }

    fn known_team(&self, team: &str) -> Result<Team, Mistake> {
        self.lock().team(team).cloned().ok_or_else(|| Mistake::UnknownConversation(team.to_owned()))
    }

    /// Who did it, where nobody is named: the member who has been there longest.
    fn first_member(&self, team: &str) -> Result<User, Mistake> {
        let state = self.lock();
        let unknown = || Mistake::UnknownConversation(team.to_owned());
        let found = state.teams.iter().find(|known| known.id == team).ok_or_else(unknown)?;
        let member = state.users.iter().find(|user| found.members.contains(&user.id));
        member.cloned().ok_or_else(|| Mistake::UnknownUser("first member of the team".to_owned()))
    }

    fn change_team(&self, team: &str, change: impl FnOnce(&mut Team)) -> Result<Team, Mistake> {
        let mut state = self.lock();
        let found = state.team_mut(team).ok_or_else(|| Mistake::UnknownConversation(team.to_owned()))?;
        change(found);
        Ok(found.clone())
    }

    /// Also a deleted one. Returns it, as it is now, with its team.
    fn change_channel(&self, channel: &str, change: impl FnOnce(&mut Channel)) -> Result<(Team, Channel), Mistake> {
        let unknown = || Mistake::UnknownConversation(channel.to_owned());
        let mut state = self.lock();
        let has_it = |team: &&mut Team| team.channels.iter().any(|found| found.id == channel);
        let team = state.teams.iter_mut().find(has_it).ok_or_else(unknown)?;
        let found = team.channels.iter_mut().find(|found| found.id == channel).ok_or_else(unknown)?;
        change(found);
        let found = found.clone();
        Ok((team.clone(), found))
    }
}

fn channel_data(channel: &Channel) -> Value {
    json!({ "id": channel.id, "name": channel.name, "type": channel.kind })
}

fn team_data(team: &Team) -> Value {
    json!({ "id": team.id, "name": team.name, "aadGroupId": team.group, "tenantId": team.tenant })
}
