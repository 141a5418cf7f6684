//! What people can write to the bot: one table for `help`, for finding the command in a text, and for the app's manifest.

use domain::permission::Rank;

use crate::Card;
use crate::log::NAME_LIMIT;
use crate::notice::notice;
use crate::untrusted::Plain;

/// The commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandName {
    /// `help`
    Help,
    /// `open`
    Open,
    /// `linkUser`
    LinkUser,
    /// `unlinkUser`
    UnlinkUser,
    /// `trigger [title]`
    Trigger,
    /// `incidents [mine]`
    Incidents,
    /// `oncall [service]`
    OnCall,
    /// `connections`
    Connections,
    /// `connect [SERVICE-URL]`
    Connect,
    /// `disconnect [SERVICE-URL]`
    Disconnect,
    /// `authorize [KEY]`
    Authorize,
    /// `configure`
    Configure,
}

/// Where a command works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In channels and in the private chat.
    Anywhere,
    /// In channels only: it is about the channel.
    Channel,
    /// In the private chat only: what it takes is nobody else's business.
    Private,
}

/// Something that a person can write to the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    pub name: CommandName,
    /// The word; upper and lower case are the same.
    pub word: &'static str,
    /// What may or must follow, as it is written in help texts; empty if nothing does.
    pub argument: &'static str,
    /// What it does, as one sentence.
    pub does: &'static str,
    pub place: Place,
    pub rank: Rank,
}

const fn command(
    name: CommandName,
    word: &'static str,
    argument: &'static str,
    does: &'static str,
    place: Place,
    rank: Rank,
) -> Command {
    Command { name, word, argument, does, place, rank }
}

/// Every command, in the order in which [`help`] lists them.
pub const COMMANDS: &[Command] = &[
    command(CommandName::Help, "help", "", "View the list of available commands.", Place::Anywhere, Rank::Member),
    command(CommandName::Open, "open", "", "Open PagerDuty in a new browser window.", Place::Anywhere, Rank::Member),
    command(
        CommandName::LinkUser,
        "linkUser",
        "",
        "Link your PagerDuty and Teams user accounts.",
        Place::Anywhere,
        Rank::Member,
    ),
    command(
        CommandName::UnlinkUser,
        "unlinkUser",
        "",
        "Unlink your PagerDuty and Teams user accounts.",
        Place::Anywhere,
        Rank::Member,
    ),
    command(
        CommandName::Trigger,
        "trigger",
        "[title]",
        "Complete a form to create a new incident.",
        Place::Anywhere,
        Rank::Member,
    ),
    command(
        CommandName::Incidents,
        "incidents",
        "[mine]",
        "List the open incidents: of the services of this channel, or those assigned to you.",
        Place::Anywhere,
        Rank::Member,
    ),
    command(
        CommandName::OnCall,
        "oncall",
        "[service]",
        "Show who is on call for the services of this channel, or for the service that you name.",
        Place::Anywhere,
        Rank::Member,
    ),
    command(
        CommandName::Connections,
        "connections",
        "",
        "List the PagerDuty services that are connected to this channel.",
        Place::Channel,
        Rank::Member,
    ),
    command(
        CommandName::Connect,
        "connect",
        "[SERVICE-URL]",
        "Use the PagerDuty service page URL to connect a PagerDuty service to this channel.",
        Place::Channel,
        Rank::Manager,
    ),
    command(
        CommandName::Disconnect,
        "disconnect",
        "[SERVICE-URL]",
        "Disconnect a PagerDuty service from this channel.",
        Place::Channel,
        Rank::Manager,
    ),
    command(
        CommandName::Authorize,
        "authorize",
        "[KEY]",
        "Use the unique key provided to authorize PagerDuty to connect to a team.",
        Place::Private,
        Rank::Admin,
    ),
    command(
        CommandName::Configure,
        "configure",
        "",
        "Open PagerBridge's configuration page in the browser.",
        Place::Anywhere,
        Rank::Admin,
    ),
];

/// The command with this word, in any case.
#[must_use]
pub fn find(word: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.word.eq_ignore_ascii_case(word))
}

/// The command that somebody may have meant who wrote `word`: one slip away, or two in a long word, or begun and not ended.
#[must_use]
pub fn nearest(word: &str) -> Option<&'static Command> {
    let word = word.to_lowercase();
    let slips = |command: &Command| strsim::osa_distance(&command.word.to_lowercase(), &word);
    let starts = |command: &&Command| word.len() >= 3 && command.word.to_lowercase().starts_with(&word);
    let nearest = COMMANDS.iter().min_by_key(|command| slips(command))?;
    // "hello" is two slips away from "help" and means something else.
    let most = if word.chars().count() <= 5 { 1 } else { 2 };
    let near = slips(nearest) <= most && slips(nearest) < word.chars().count().min(nearest.word.len());
    if near { Some(nearest) } else { COMMANDS.iter().find(starts) }
}

/// Whom [`help`] is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// Whether it is asked for in the private chat.
    pub private: bool,
    /// What the person may do, if they are linked and PagerDuty could be asked.
    pub rank: Option<Rank>,
}

impl Reader {
    fn sees(self, command: &Command) -> bool {
        let here = match command.place {
            Place::Anywhere => true,
            Place::Channel => !self.private,
            Place::Private => self.private,
        };
        here && command.rank <= self.rank.unwrap_or_default()
    }
}

/// What this person can write to the bot here.
#[must_use]
pub fn help(reader: Reader, version: &str) -> Card {
    let intro = if reader.private {
        Plain::from("I post PagerDuty incidents in channels. You can write these words to me:")
    } else {
        Plain::from("I post PagerDuty incidents in channels. You can write these words to me, after mentioning me:")
    };
    let mut paragraphs = vec![intro];
    paragraphs.extend(listed(reader));
    if reader.rank.is_none() {
        paragraphs.push(Plain::from(
            "PagerDuty managers and admins can do more: write linkUser, so that I know your role. \
             If you were given a key, write authorize and the key to me in a private chat.",
        ));
    }
    paragraphs.push(Plain::from("PagerBridge ").foreign_or(version, NAME_LIMIT, ""));
    notice("What I can do", paragraphs, Vec::new())
}

/// The person wrote a `word` that is no command.
#[must_use]
pub fn unknown_command(word: &str) -> Card {
    let sorry = Plain::from("I do not know what to do with \"").foreign_or(word, NAME_LIMIT, "").own("\".");
    let hint = match nearest(word) {
        Some(command) => Plain::from("Did you mean ")
            .own(command.word)
            .own("? ")
            .own(command.does)
            .own(" Write help for all commands."),
        None => {
            let words = COMMANDS
                .iter()
                .skip(1)
                .fold(Plain::from("You can write: help"), |text, command| text.own(", ").own(command.word));
            words.own(". Write help to see what they do.")
        }
    };
    notice("I did not understand that", vec![sorry, hint], Vec::new())
}

/// The command works elsewhere only.
#[must_use]
pub fn wrong_place(command: &Command) -> Card {
    let text = match command.place {
        Place::Private => Plain::from("For your safety, ")
            .own(command.word)
            .own(" works in a private chat with me only. Please open one and write it there."),
        Place::Channel | Place::Anywhere => Plain::from("The command ")
            .own(command.word)
            .own(" is about a channel. Please write it in the channel, after mentioning me."),
    };
    notice("Not here", vec![text], Vec::new())
}

/// PagerDuty's role of the person does not reach.
#[must_use]
pub fn not_allowed(command: &Command) -> Card {
    let who = match command.rank {
        Rank::Admin => "an Account Owner or Global Admin",
        Rank::Manager | Rank::Member => "a Manager, Global Admin or Account Owner",
    };
    let text = Plain::from("The command ")
        .own(command.word)
        .own(" needs the PagerDuty role of ")
        .own(who)
        .own(". Yours is another.");
    notice("You may not do this", vec![text], Vec::new())
}

fn listed(reader: Reader) -> impl Iterator<Item = Plain> {
    COMMANDS.iter().filter(move |command| reader.sees(command)).map(|command| {
        let usage = Plain::from(command.word);
        let usage = if command.argument.is_empty() { usage } else { usage.own(" ").own(command.argument) };
        usage.own(": ").own(command.does)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_words_in_any_case() {
        assert_eq!(find("LINKUSER").map(|command| command.name), Some(CommandName::LinkUser));
        assert_eq!(find("link user"), None);
    }

    #[test]
    fn suggests_the_nearest_word_and_nothing_far_fetched() {
        for (typed, meant) in [
            ("hlep", Some("help")),
            ("linkusr", Some("linkUser")),
            ("unlink", Some("unlinkUser")),
            ("triger", Some("trigger")),
            ("conect", Some("connect")),
            ("incident", Some("incidents")),
            ("on-call", Some("oncall")),
            ("hello", None),
            ("x", None),
            ("", None),
            ("deploy", None),
        ] {
            assert_eq!(nearest(typed).map(|command| command.word), meant, "{typed}");
        }
    }

    #[test]
    fn help_shows_what_place_and_role_allow() {
        let words = |private, rank| {
            let reader = Reader { private, rank };
            COMMANDS.iter().filter(|c| reader.sees(c)).map(|c| c.word).collect::<Vec<_>>().join(" ")
        };
        let basic = "help open linkUser unlinkUser trigger incidents oncall";
        assert_eq!(words(true, None), basic);
        assert_eq!(words(false, None), format!("{basic} connections"));
        assert_eq!(words(false, Some(Rank::Manager)), format!("{basic} connections connect disconnect"));
        assert_eq!(words(true, Some(Rank::Admin)), format!("{basic} authorize configure"));
        assert_eq!(words(false, Some(Rank::Admin)), format!("{basic} connections connect disconnect configure"));
    }
}
