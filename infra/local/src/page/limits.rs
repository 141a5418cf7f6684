//! How much the page's Teams lets through: its rate limits in words, what they refused, and the wish to change them.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use simulators::teams::Teams;

use super::World;
use super::acting::{Refusal, Wish, done};

pub(super) fn routes() -> Router<World> {
    Router::new().route("/demo/api/teams/limits", post(change))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// Of the published limits; nothing switches them off.
    percent: Option<u32>,
}

async fn change(State(world): State<World>, Wish(wish): Wish<Change>) -> Result<Json<Value>, Refusal> {
    match wish.percent {
        Some(percent @ 10..=100) => world.teams.set_limits(percent),
        Some(_) => return Err(Refusal::bad("percent is not between 10 and 100")),
        None => world.teams.set_throttling(false),
    }
    Ok(done())
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Limits {
    /// Of the published limits; nothing if they are off.
    percent: Option<u32>,
    words: String,
    /// Requests that were answered with 429.
    refused: u64,
}

impl Limits {
    pub(super) fn of(teams: &Teams) -> Self {
        let present = teams.limits();
        let words = present.map_or_else(|| "No limit".to_owned(), |limits| in_words(&limits.writes));
        Self { percent: present.map(|limits| limits.percent), words, refused: teams.refused_by_limits() }
    }
}

fn in_words(windows: &[(usize, i64)]) -> String {
    let window = |(most, seconds): &(usize, i64)| match seconds {
        3600 => format!("{} in an hour", grouped(*most)),
        seconds => format!("{} in {seconds} s", grouped(*most)),
    };
    let windows: Vec<String> = windows.iter().map(window).collect();
    format!("Per channel or chat: {}", windows.join(", "))
}

fn grouped(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_said_in_words() {
        let published = [(7, 1), (8, 2), (60, 30), (1800, 3600)];
        let tenth = [(1, 1), (1, 2), (6, 30), (180, 3600)];
        let table = [
            (published, "Per channel or chat: 7 in 1 s, 8 in 2 s, 60 in 30 s, 1,800 in an hour"),
            (tenth, "Per channel or chat: 1 in 1 s, 1 in 2 s, 6 in 30 s, 180 in an hour"),
        ];
        for (windows, words) in table {
            assert_eq!(in_words(&windows), words);
        }
        assert_eq!(grouped(1008), "1,008");
    }
}
