//! A quiet week: what happens in one, and no alarm rings.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use jiff::SignedDuration;
use runtime::Metric;
use simulators::{pagerduty, teams};
use tokio::time::{Instant, sleep};
use tower_service::Service as _;

use crate::people::Person;
use crate::platform::{DELIVERY, Function};
use crate::stack::{Lateness, Place, START, Stack};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// In which minutes of each hour an incident begins.
const INCIDENTS: [u64; 3] = [7, 26, 48];

struct Week {
    stack: Stack,
    places: [Place; 2],
    people: [Person; 2],
    hour: u64,
}

impl Week {
    async fn new() -> Self {
        let stack = Box::pin(Stack::new(Lateness::Wild)).await;
        let places = [stack.add_place("payments").await, stack.add_place("search").await];
        let people = [stack.add_person("Ada", "admin"), stack.add_person("Ben", "user")];
        for person in &people {
            stack.inside().teams.add_member(&stack.team, &person.teams).await.unwrap();
        }
        Self { stack, places, people, hour: 0 }
    }

    /// How many have passed since the start.
    fn minutes(&self) -> u64 {
        self.stack.now().duration_since(START).as_mins().unsigned_abs()
    }

    /// One incident: it begins, somebody acknowledges it in Teams, and it ends.
    async fn incident(&self, minute: u64) {
        let place = &self.places[usize::try_from(minute % 2).unwrap()];
        let pagerduty = &self.stack.inside().pagerduty;
        let title = format!("Disk {}-{minute}", self.hour);
        pagerduty.trigger(&place.service, &title, if minute == 7 { "high" } else { "low" });
        sleep(MINUTE).await;
        let person = &self.people[usize::try_from((self.hour + minute) % 2).unwrap()];
        let card = self.stack.card_of(&place.channel, &title).unwrap_or_else(|| panic!("no card of {title}"));
        let answer = self.stack.click(person, &card, "acknowledge").await;
        assert_eq!(answer.status, 200);
        sleep(5 * MINUTE).await;
        self.stack.click(person, &card, "resolve").await;
    }

    /// What goes wrong in a quiet hour, and is nobody's business.
    async fn mishap(&self) {
        let inside = self.stack.inside();
        match self.hour % 12 {
            1 => inside.teams.fail_next(1, &teams::Fault::throttled(3)),
            2 => inside.teams.fail_next(1, &teams::Fault::status(502, "BadGateway")),
            3 => inside.pagerduty.fail_next(1, &pagerduty::Fault::Status(500)),
            4 => inside.pagerduty.fail_next(1, &pagerduty::Fault::NoAnswer),
            5 => inside.pagerduty.duplicate_next_delivery(3),
            6 => self.scan().await,
            // A deployment.
            7 => self.stack.platform.end_processes(),
            // A run of the reconciler is left out. The next one is not, nor is it later than half a minute: else nobody could tell
            // it from silence within two minutes.
            8 => {
                while Lateness::Wild.of(self.minutes() + 1) >= 29 {
                    sleep(MINUTE).await;
                }
                self.stack.wrong(|wrong| wrong.is_unscheduled = true);
                sleep(MINUTE).await;
                self.stack.wrong(|wrong| wrong.is_unscheduled = false);
            }
            9 => assert_eq!(Box::pin(self.stack.look_at_page(&self.people[0])).await.status, 200),
            10 => inside.teams.fail_next(1, &teams::Fault::NoAnswer),
            11 => inside.pagerduty.fail_next_token(1, &pagerduty::Fault::Status(503)),
            _ => {}
        }
    }

    /// A stranger looks for doors.
    async fn scan(&self) {
        for path in
            ["/.env", "/wp-login.php", "/admin/api/v1/teams", "/webhooks/pagerduty", "/api/messages", "/oauth/callback"]
        {
            let request = |method: &str| Request::builder().method(method).uri(path).body(Body::from("{}")).unwrap();
            for method in ["GET", "POST"] {
                let status = self.stack.platform.door().call(request(method)).await.unwrap().status();
                assert!(status.is_client_error() || status.is_redirection(), "{method} {path}: {status}");
            }
        }
    }

    async fn hour(&mut self) {
        for minute in INCIDENTS {
            let at = HOUR * u32::try_from(self.hour).unwrap() + MINUTE * u32::try_from(minute).unwrap();
            self.stack.until(at).await;
            if minute == 26 {
                Box::pin(self.mishap()).await;
            }
            Box::pin(self.incident(minute)).await;
        }
        self.hour += 1;
        self.stack.until(HOUR * u32::try_from(self.hour).unwrap()).await;
    }

    async fn hours(mut self, hours: u64) {
        let begun = Instant::now();
        let real = std::time::Instant::now();
        self.stack.until(4 * MINUTE).await;
        for person in &self.people {
            self.stack.link(person).await;
        }
        for _ in 0..hours {
            Box::pin(self.hour()).await;
        }
        let incidents = f64::from(u32::try_from(hours).unwrap()) * 3.0;
        println!("{hours} hours, {incidents} incidents, in {:.0?} of {:.0?}", real.elapsed(), begun.elapsed());
        assert_eq!(self.stack.rung(), [], "nothing rings");
        // It has been a week with something in it.
        assert!(self.stack.counted(Function::Sender, Metric::CardsPosted) >= incidents);
        // A click that meets a mishap of PagerDuty is told to its person, who would click again.
        assert!(self.stack.counted(Function::Bot, Metric::ActionsTaken) >= 0.98 * 2.0 * incidents);
        let minutes = SignedDuration::from_hours(i64::try_from(hours).unwrap()).as_mins();
        let runs = self.stack.counted(Function::Reconciler, Metric::ReconcilerRuns);
        assert!(runs > 0.95 * f64::from(i32::try_from(minutes).unwrap()), "{runs} runs in {minutes} minutes");
    }
}

/// For how long nothing happens at all: longer than an alarm looks back, and than a part may go without its turn.
const SILENCE: Duration = HOUR.saturating_mul(3);

#[tokio::test(start_paused = true)]
async fn hours_without_any_traffic_ring_no_alarm() {
    let stack = Box::pin(Stack::new(Lateness::Wild)).await;
    stack.add_place("payments").await;
    stack.until(SILENCE).await;
    assert_eq!(stack.rung(), [], "nothing rings");
    assert!(stack.counted(Function::Reconciler, Metric::ReconcilerRuns) > 170.0);
    let received = stack.counted(Function::Webhook, Metric::WebhooksReceived);
    assert!(received <= 1.0, "PagerDuty's test message when the place was connected, at most: {received}");
}

/// Runs that take 45 s, each second one late by nearly a minute: what they say at their ends leaves minutes out.
#[test]
fn long_runs_of_the_reconciler_are_no_silence() {
    let figure =
        |metric: Metric| alarms::Metric::of("PagerBridge", metric.name(), "FunctionName", Function::Reconciler.name());
    let mut told = Vec::new();
    for minute in 0..20 {
        let began =
            START.checked_add(MINUTE * minute + Duration::from_secs(if minute % 2 == 0 { 0 } else { 58 })).unwrap();
        told.push((Metric::ReconcilerStarted, began, 1.0));
        told.push((Metric::NotHealing, began.checked_add(Duration::from_secs(45)).unwrap(), 0.0));
    }
    let mut watch = Stack::watch();
    for minute in 3..20 {
        let now = START.checked_add(MINUTE * minute).unwrap();
        let mut seen = alarms::Samples::default();
        for (metric, at, value) in told.iter().filter(|(_, at, _)| at.checked_add(DELIVERY).unwrap() <= now) {
            seen.add(figure(*metric), *at, *value);
        }
        watch.look(&seen, now).unwrap();
    }
    assert_eq!(watch.changes(), []);
}

#[tokio::test(start_paused = true)]
async fn before_anybody_has_authorized_no_alarm_rings() {
    let stack = Box::pin(Stack::fresh(Lateness::Wild)).await;
    stack.until(SILENCE).await;
    assert_eq!(stack.rung(), [], "nothing rings");
    assert!(stack.counted(Function::Reconciler, Metric::ReconcilerRuns) > 170.0);
}

/// As long as each of its mishaps happens once. The whole week is below.
#[tokio::test(start_paused = true)]
async fn a_quiet_day_rings_no_alarm() {
    Box::pin(Week::new()).await.hours(12).await;
}

/// `cargo test --release -p alarms --test it quiet_week -- --ignored --nocapture`.
#[tokio::test(start_paused = true)]
#[ignore = "takes minutes"]
async fn a_quiet_week_rings_no_alarm() {
    Box::pin(Week::new()).await.hours(7 * 24).await;
}
