//! What happens to teams and channels.

use simulators::teams::{HttpAnswer, Mistake};

use super::talking::NOT_DELIVERED;
use super::{Answer, Did, Done, People};
use crate::script::{ChannelFate, TeamFate};

impl People<'_> {
    pub(super) async fn befall_channel(&self, channel: usize, fate: ChannelFate) -> Done {
        let (number, channel) = self.channel(channel)?;
        let teams = self.teams;
        let known = teams.teams().into_iter().flat_map(|team| team.channels).find(|known| known.id == channel.id);
        let answer = match (fate, &known) {
            (ChannelFate::Deleted, Some(_)) => teams.delete_channel(&channel.id).await,
            (ChannelFate::Restored, None) => teams.restore_channel(&channel.id).await,
            (ChannelFate::Renamed, Some(known)) => {
                let name = if known.name.starts_with("incidents") { "alarms" } else { "incidents" };
                teams.rename_channel(&channel.id, &format!("{name}-{number}")).await
            }
            (ChannelFate::Restored, Some(_)) => return Err("the channel is there"),
            (ChannelFate::Deleted | ChannelFate::Renamed, None) => return Err("the channel is gone"),
        };
        Ok(Did::Channel { channel: channel.id.clone(), fate, answer: heard(answer) })
    }

    pub(super) async fn befall_team(&self, team: usize, fate: TeamFate) -> Done {
        let (number, team) = self.team(team)?;
        let teams = self.teams;
        let known = teams.teams().into_iter().find(|known| known.id == team.id).ok_or("the team is gone")?;
        let is_archived = teams.is_archived(&team.id);
        let answers = match fate {
            TeamFate::AppRemoved if known.bot_in_roster => several(teams.uninstall(&team.id).await),
            TeamFate::AppAdded(person) if !known.bot_in_roster => {
                several(teams.install_in(&team.id, &team.id, &self.person(person)?.1.teams).await)
            }
            TeamFate::Archived if !is_archived => vec![heard(teams.archive_team(&team.id).await)],
            TeamFate::Unarchived if is_archived => vec![heard(teams.unarchive_team(&team.id).await)],
            TeamFate::Renamed => {
                vec![heard(teams.rename_team(&team.id, &format!("{}, team {number}", known.name)).await)]
            }
            TeamFate::AppRemoved => return Err("the app is not there"),
            TeamFate::AppAdded(_) => return Err("the app is there"),
            TeamFate::Archived => return Err("it is archived"),
            TeamFate::Unarchived => return Err("it is not archived"),
        };
        Ok(Did::Team { team: team.id.clone(), fate, answers })
    }
}

/// A bot that is not there hears nothing.
fn heard(answer: Result<Option<HttpAnswer>, Mistake>) -> Answer {
    match answer {
        Ok(None) => Answer::NotSent(NOT_DELIVERED.to_owned()),
        Ok(Some(answer)) => Answer::of_message(&Ok(answer)),
        Err(mistake) => Answer::of_message(&Err(mistake)),
    }
}

fn several(answers: Result<Vec<HttpAnswer>, Mistake>) -> Vec<Answer> {
    match answers {
        Ok(answers) => answers.into_iter().map(|answer| Answer::of_message(&Ok(answer))).collect(),
        Err(mistake) => vec![Answer::of_message(&Err(mistake))],
    }
}
