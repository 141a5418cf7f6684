//! A dozen short scripts, one for each thing that happens to an incident or to what shows it. Each is run with a crash at every
//! outside call.

use std::time::Duration;

use crate::script::{Act, Button, Card, Change, ChannelFate, Manner, Script, Source, Step, TeamFate, Way};

/// All of them, by name. They name the town's first service and channel, its admin (0) and another member (1).
#[must_use]
pub fn scripts() -> Vec<(&'static str, Script)> {
    vec![
        (
            "acknowledged and resolved in PagerDuty",
            script(&[(0, open(1)), (5, change(1, Change::Acknowledge)), (10, change(1, Change::Resolve))]),
        ),
        (
            "acknowledged and resolved from its card",
            script(&[(0, open(1)), (6, press(1, Button::Acknowledge)), (14, press(1, Button::Resolve))]),
        ),
        (
            "a note from its card, and one in PagerDuty",
            script(&[(0, open(1)), (6, press_in(1, Button::Note, &[0])), (14, change(1, Change::Note))]),
        ),
        (
            "reassigned and escalated",
            script(&[(0, open(1)), (5, change(1, Change::Reassign { to: 1 })), (10, Act::Escalate { case: 1, to: 0 })]),
        ),
        ("merged into another one", script(&[(0, open(1)), (2, open(2)), (8, change(1, Change::Merge { into: 2 }))])),
        (
            "moved to another service",
            script(&[(0, open(1)), (6, change(1, Change::Move { service: 1 })), (12, change(1, Change::Acknowledge))]),
        ),
        (
            "priority and urgency",
            script(&[
                (0, open(1)),
                (5, change(1, Change::Priority(Some(0)))),
                (10, change(1, Change::Urgency { low: true })),
            ]),
        ),
        ("reopened", script(&[(0, open(1)), (5, change(1, Change::Resolve)), (10, change(1, Change::Reopen))])),
        ("a storm", script(&[(0, Act::Burst { case: 1, count: 12, service: 0 }), (20, Act::Recover { case: 3 })])),
        (
            "removed and connected again",
            script(&[
                (0, open(1)),
                (5, Act::Remove { person: 0, service: 0, channel: 0, way: Way::Page }),
                (12, Act::Connect { person: 0, service: 0, channel: 0, way: Way::Command }),
                (18, open(2)),
            ]),
        ),
        (
            "the team disconnected and authorized again",
            script(&[
                (0, open(1)),
                (5, Act::Disconnect { person: 0, team: 0 }),
                (15, Act::Authorize { person: 0, team: 0 }),
                (25, change(1, Change::Resolve)),
            ]),
        ),
        (
            "the channel deleted and restored",
            script(&[
                (0, open(1)),
                (5, Act::Channel { channel: 0, fate: ChannelFate::Deleted }),
                (8, change(1, Change::Acknowledge)),
                (14, Act::Channel { channel: 0, fate: ChannelFate::Restored }),
            ]),
        ),
        (
            "the app removed and added",
            script(&[
                (0, open(1)),
                (5, Act::Team { team: 2, fate: TeamFate::AppRemoved }),
                (10, Act::Team { team: 2, fate: TeamFate::AppAdded(0) }),
                (15, change(1, Change::Acknowledge)),
            ]),
        ),
        (
            "linked, acted, unlinked",
            script(&[
                (0, open(1)),
                (3, Act::Link { person: 2, window: false }),
                (12, press_by(2, 1, Button::Acknowledge)),
                (20, Act::Unlink { person: 2 }),
            ]),
        ),
    ]
}

fn script(steps: &[(u64, Act)]) -> Script {
    Script(steps.iter().map(|(at, act)| Step { at: Duration::from_secs(*at), act: act.clone() }).collect())
}

fn open(case: usize) -> Act {
    Act::Trigger { case, service: 0, low: false, source: Source::ToolWithDetails }
}

fn change(case: usize, change: Change) -> Act {
    Act::InPagerDuty { person: 0, case, change }
}

fn press(case: usize, button: Button) -> Act {
    press_by(1, case, button)
}

fn press_by(person: usize, case: usize, button: Button) -> Act {
    Act::Press {
        person,
        card: Card::Of { case, nth: 0 },
        button,
        manner: Manner::Once,
        dialog: Vec::new(),
        words: case,
    }
}

fn press_in(case: usize, button: Button, dialog: &[usize]) -> Act {
    Act::Press {
        person: 1,
        card: Card::Of { case, nth: 0 },
        button,
        manner: Manner::Once,
        dialog: dialog.to_vec(),
        words: case,
    }
}
