use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What Teams takes of one bot: (how many, in how many milliseconds).
const OF_A_CONVERSATION: [(usize, i64); 4] = [(7, 1_000), (8, 2_000), (60, 30_000), (1_800, 3_600_000)];
const OF_A_TENANT: [(usize, i64); 1] = [(50, 1_000)];

/// What ordinary messages leave of it.
const ORDINARY: [(usize, i64); 4] = [(5, 1_000), (6, 2_000), (48, 30_000), (1_500, 3_600_000)];

const T0: i64 = 1_795_424_400_000;

fn at(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).unwrap()
}

/// Teams as a counter of arrivals: the first window that has too many.
fn refused(arrivals: &[i64], windows: &[(usize, i64)]) -> Option<(usize, i64)> {
    let mut arrivals = arrivals.to_vec();
    arrivals.sort_unstable();
    let is_over = |(most, length): &(usize, i64)| {
        arrivals.iter().zip(arrivals.iter().skip(*most)).any(|(first, last)| last - first < *length)
    };
    windows.iter().copied().find(is_over)
}

fn stored(budget: &Budget) -> String {
    serde_json::to_string(budget).unwrap()
}

/// A sender at work on the channel, and what becomes of it.
#[derive(Debug, Clone)]
struct Turn {
    /// How long after the one before, in milliseconds.
    pause: i64,
    /// How far its clock is ahead.
    ahead: i64,
    waves: Vec<Wave>,
    /// Whether it notes its end.
    is_noted: bool,
}

#[derive(Debug, Clone)]
struct Wave {
    claim: Claim,
    wanted: usize,
    /// How long each message takes, and how long every other one travels.
    takes: i64,
    travels: [i64; 2],
    /// How many it sends before it dies.
    dies_after: Option<usize>,
    pause: i64,
}

fn wave(claim: impl Strategy<Value = Claim>) -> impl Strategy<Value = Wave> {
    let takes = prop_oneof![Just(0), 0..200_i64, 200..700_i64];
    let travels = prop_oneof![Just([50, 0]), Just([0, 50]), (0..=50_i64).prop_map(|travels| [travels, 0])];
    let pause = prop_oneof![Just(0), 0..1_100_i64, 700..1_300_i64, 1_700..2_300_i64];
    let dies_after = prop::option::weighted(0.1, 0..7_usize);
    (claim, 1..=7_usize, takes, travels, dies_after, pause).prop_map(
        |(claim, wanted, takes, travels, dies_after, pause)| Wave { claim, wanted, takes, travels, dies_after, pause },
    )
}

fn turn(claim: impl Strategy<Value = Claim>) -> impl Strategy<Value = Turn> {
    let pause = prop_oneof![Just(0), 0..1_500_i64, 700..2_300_i64, 1_500..40_000_i64, 40_000..400_000_i64];
    let ahead = prop_oneof![Just(0), Just(200), 0..=200_i64];
    (pause, ahead, prop::collection::vec(wave(claim), 1..7), prop::bool::ANY)
        .prop_map(|(pause, ahead, waves, is_noted)| Turn { pause, ahead, waves, is_noted })
}

fn any_claim() -> impl Strategy<Value = Claim> {
    prop_oneof![Just(Claim::Ordinary), Just(Claim::Urgent)]
}

/// A channel, as its senders find and leave it.
struct Channel {
    now: i64,
    state: String,
    arrivals: Vec<i64>,
}

impl Channel {
    fn new() -> Self {
        Self { now: T0, state: stored(&Budget::default()), arrivals: Vec::new() }
    }

    fn taken_over(&self, ahead: i64) -> Budget {
        serde_json::from_str::<Budget>(&self.state).unwrap().taken_over(at(self.now + ahead))
    }

    fn turn(&mut self, turn: &Turn) {
        self.now += turn.pause;
        let mut budget = self.taken_over(turn.ahead);
        for wave in &turn.waves {
            let now = at(self.now + turn.ahead);
            let sends = budget.allows(wave.claim, now).min(wave.wanted);
            self.state = stored(&budget.clone().with_reserved(sends, now));
            for (sent, travels) in wave.travels.iter().cycle().take(sends).enumerate() {
                if wave.dies_after == Some(sent) {
                    return;
                }
                let now = at(self.now + turn.ahead);
                if budget.allows(wave.claim, now) > 0 {
                    budget.sent(now);
                    self.arrivals.push(self.now + travels);
                }
                self.now += wave.takes;
            }
            self.now += wave.pause;
        }
        if turn.is_noted {
            self.state = stored(&budget);
        }
    }

    /// A sender that has as much to send as there is room for, for so long.
    fn hammer(&mut self, length: i64, claims: &[Claim]) {
        let mut budget = self.taken_over(0);
        let ends = self.now + length;
        for claim in claims.iter().copied().cycle() {
            let next = budget.next_at(claim, at(self.now)).as_millisecond();
            self.now = self.now.max(next);
            if self.now >= ends {
                break;
            }
            budget.sent(at(self.now));
            self.arrivals.push(self.now);
        }
        self.now = ends;
        self.state = stored(&budget);
    }
}

/// The longest that an idle channel waits: all that counts in the windows of seconds, or in the hour.
const WINDOWS_OVER: i64 = 30_000 + SLACK;
const HOUR_OVER: i64 = 3_660_000;

/// One more may be sent from the moment on that is named, and not before; and that is soon.
fn assert_goes_on(budget: &Budget, claim: Claim, now: i64) {
    let next = budget.next_at(claim, at(now)).as_millisecond();
    if next > now {
        assert_eq!(budget.allows(claim, at(next - 1)), 0, "it waits too long");
    }
    assert!(budget.allows(claim, at(next.max(now))) > 0, "it does not wait long enough");
    let is_hour_left = budget.in_the_last_hour(now) < claim.in_an_hour();
    let most = if is_hour_left { WINDOWS_OVER } else { HOUR_OVER };
    assert!(next - now <= most, "{} ms", next - now);
}

/// A state that senders with any clocks may have left: times around now.
fn any_budget() -> impl Strategy<Value = Budget> {
    let time = || prop_oneof![-40_000..1_i64, -4_000_000..4_000_000_i64, Just(i64::MAX / 2 - T0)];
    let minute = (-70..70_i64, prop_oneof![0..40_u32, 0..2_000_u32, Just(u32::MAX)]);
    let reserved = prop::option::of((prop_oneof![0..8_u32, Just(u32::MAX)], time()));
    (prop::collection::vec(time(), 0..70), prop::collection::vec(minute, 0..70), reserved).prop_map(
        |(mut sent, mut minutes, reserved)| {
            sent.sort_unstable();
            minutes.sort_unstable();
            Budget {
                sent: sent.into_iter().map(|time| T0 + time).collect(),
                minutes: minutes.into_iter().map(|(minute, count)| (T0 / MINUTE + minute, count)).collect(),
                reserved: reserved.map(|(sends, time)| (sends, T0 + time)),
            }
        },
    )
}

#[test]
fn a_full_hour_waits_for_as_many_minutes_as_it_takes() {
    let mut budget = Budget::default();
    // The first minute was urgent; nothing has been sent since that would have made it forgotten.
    for (minute, count) in [(0, 100), (1, 10), (2, 1_590)] {
        budget.minutes.push_back((T0 / MINUTE + minute, count));
    }
    let now = at(left_at(T0 / MINUTE));
    assert_eq!(budget.allows(Claim::Urgent, now), 6);
    assert_eq!(budget.allows(Claim::Ordinary, now), 0);
    assert_eq!(budget.next_at(Claim::Ordinary, now), at(left_at(T0 / MINUTE + 2)));
}

#[test]
fn an_hour_of_as_much_as_goes_is_taken() {
    use Claim::{Ordinary, Urgent};
    for (name, claims, most, limits) in [
        ("ordinary", &[Ordinary][..], 1_500, &ORDINARY[..]),
        ("urgent", &[Urgent], 1_700, &OF_A_CONVERSATION),
        ("both", &[Ordinary, Ordinary, Urgent], 1_700, &OF_A_CONVERSATION),
    ] {
        let mut channel = Channel::new();
        for _ in 0..4 {
            channel.hammer(3_000_000, claims);
            assert_goes_on(&channel.taken_over(0), Ordinary, channel.now);
        }
        assert_eq!(refused(&channel.arrivals, limits), None, "{name}");
        let first_hour = channel.arrivals.iter().filter(|arrival| **arrival < T0 + 3_600_000).count();
        assert!(first_hour <= most && first_hour > most - 210, "{name}: {first_hour}");
    }
}

proptest! {
    /// Whenever senders come, die and wait, and however far their clocks differ: Teams refuses nothing.
    #[test]
    fn teams_refuses_nothing(
        hour in prop::option::weighted(0.05, 3_000_000..3_700_000_i64),
        turns in prop::collection::vec(turn(any_claim()), 1..20),
    ) {
        let mut channel = Channel::new();
        if let Some(length) = hour {
            channel.hammer(length, &[Claim::Urgent, Claim::Ordinary]);
        }
        for turn in &turns {
            channel.turn(turn);
            for claim in [Claim::Ordinary, Claim::Urgent] {
                assert_goes_on(&channel.taken_over(0), claim, channel.now);
            }
        }
        prop_assert_eq!(refused(&channel.arrivals, &OF_A_CONVERSATION), None);
    }

    /// What can wait leaves room for what cannot.
    #[test]
    fn ordinary_messages_leave_room(turns in prop::collection::vec(turn(Just(Claim::Ordinary)), 1..20)) {
        let mut channel = Channel::new();
        turns.iter().for_each(|turn| channel.turn(turn));
        prop_assert_eq!(refused(&channel.arrivals, &ORDINARY), None);
        let now = at(channel.now + WINDOWS_OVER);
        prop_assert!(channel.taken_over(0).allows(Claim::Urgent, now) >= 1);
    }

    /// A clock that is wrong by minutes is found out by the next sender: what comes after it is taken, and soon.
    #[test]
    fn a_wrong_clock_blocks_nobody(
        before in prop::collection::vec(turn(any_claim()), 0..6),
        wrong in turn(any_claim()),
        by in prop_oneof![-900_000..-60_000_i64, 60_000..900_000_i64],
        after in prop::collection::vec(turn(any_claim()), 1..12),
    ) {
        let mut channel = Channel::new();
        before.iter().for_each(|turn| channel.turn(turn));
        channel.turn(&Turn { ahead: by, ..wrong });
        channel.arrivals.clear();
        for turn in &after {
            for claim in [Claim::Ordinary, Claim::Urgent] {
                assert_goes_on(&channel.taken_over(0), claim, channel.now);
            }
            channel.turn(turn);
        }
        prop_assert_eq!(refused(&channel.arrivals, &OF_A_CONVERSATION), None);
    }

    /// Whatever is stored, an idle channel goes on.
    #[test]
    fn no_state_starves(budget in any_budget(), claim in any_claim()) {
        let taken = budget.taken_over(at(T0));
        assert_goes_on(&taken, claim, T0);
        prop_assert_eq!(serde_json::from_str::<Budget>(&stored(&taken)).unwrap(), taken);
    }

    /// All senders of a tenant together stay below its limit, even if their clocks differ, and none of them starves.
    #[test]
    fn a_tenant_is_not_asked_too_much(
        reservations in prop::collection::vec((prop_oneof![Just(0), 0..20_i64, 0..400_i64], 0..16_usize, 1..=7_usize), 1..400),
        ahead in prop::collection::vec(0..=200_i64, 16),
    ) {
        for (is_same_clock, limits) in [(true, [(40, 1_000)]), (false, OF_A_TENANT)] {
            let (mut now, mut counted, mut granted) = (T0, BTreeMap::new(), Vec::new());
            for (pause, sender, wanted) in &reservations {
                now += pause;
                let ahead = if is_same_clock { 0 } else { ahead[*sender] };
                let count: &mut usize = counted.entry(TenantWindow::at(at(now + ahead))).or_default();
                let some = IN_TENANT_WINDOW.saturating_sub(*count).min(*wanted);
                *count += some;
                granted.extend(std::iter::repeat_n(now, some));
            }
            prop_assert_eq!(refused(&granted, &limits), None);
            let next = TenantWindow::at(at(now + 200 + TENANT_WINDOW));
            prop_assert!(!counted.contains_key(&next), "the next window has room for all");
        }
    }
}
