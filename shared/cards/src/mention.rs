//! Calling the people who have got an incident by name, in its thread: Teams tells whoever is mentioned.

use domain::ids::EntraUserId;

use crate::log::NAME_LIMIT;
use crate::untrusted::{Plain, Untrusted};

/// Somebody who has got an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// As PagerDuty shows them; foreign text.
    pub name: String,
    /// Who they are in Teams, if they have linked their accounts.
    pub user: Option<EntraUserId>,
}

/// A short message that mentions people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// With each mention as it stands in [`Mention::text`]. Rendered as Markdown: there is nothing in it but names and our own words.
    pub text: String,
    pub mentions: Vec<Mention>,
    /// The same without mentions.
    pub plain: String,
}

/// A mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The part of the message that names them.
    pub text: String,
    pub name: String,
    pub user: EntraUserId,
}

/// Tells people that an incident is theirs. `number`: the incident's.
#[must_use]
pub fn call(people: &[Called], number: u64) -> Call {
    let mut mentions = Vec::new();
    let (mut marked, mut plain) = (Vec::new(), Vec::new());
    for person in people {
        let name = bare(&person.name);
        plain.push(name.clone());
        match &person.user {
            Some(user) => {
                let text = format!("<at>{name}</at>");
                marked.push(text.clone());
                mentions.push(Mention { text, name, user: user.clone() });
            }
            None => marked.push(name),
        }
    }
    let yours = Plain::from("– incident ").incident(number).own("is assigned to you.").into_literal();
    Call { text: format!("{} {yours}", marked.join(", ")), mentions, plain: format!("{} {yours}", plain.join(", ")) }
}

/// A name of which nothing is read as markup: what stands in the text must be the same as what the mention says.
fn bare(name: &str) -> String {
    let name = Untrusted::new(name).literal(NAME_LIMIT);
    let bare: String = name.chars().filter(|c| !"<>&*_`[]()~|\\#^$!".contains(*c)).collect();
    if bare.trim().is_empty() { "Somebody".to_owned() } else { bare.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &str, user: Option<&str>) -> Called {
        Called { name: name.to_owned(), user: user.map(|user| EntraUserId::new(user).unwrap()) }
    }

    #[test]
    fn who_is_linked_is_mentioned_and_the_others_are_named() {
        let call = call(&[called("Ada Wong", Some("oid-1")), called("Ben", None)], 12);
        assert_eq!(call.text, "<at>Ada Wong</at>, Ben – incident #12 is assigned to you.");
        assert_eq!(call.plain, "Ada Wong, Ben – incident #12 is assigned to you.");
        let user = EntraUserId::new("oid-1").unwrap();
        let expected = Mention { text: "<at>Ada Wong</at>".to_owned(), name: "Ada Wong".to_owned(), user };
        assert_eq!(call.mentions, [expected]);
    }

    #[test]
    fn names_mention_nobody_else_and_hold_no_markup() {
        let evil = "</at><at>everyone</at> [x](https://evil.example) **A&B** \u{202E}";
        let call = call(&[called(evil, Some("oid")), called("\u{200B}", None)], 1);
        assert_eq!(call.mentions[0].name, "/at ateveryone /at xhttps://evil.example AB");
        assert_eq!(call.text.matches("<at>").count(), 1);
        assert!(call.text.contains(&call.mentions[0].text) && call.text.contains(", Somebody"), "{}", call.text);
    }
}
