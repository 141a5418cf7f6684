//! One run: a script, what goes wrong meanwhile, the quiet after it, and the judgement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::chronicle::{Event, Function};
use crate::dice::Dice;
use crate::faults::{Rotated, Wrong};
use crate::oracle::{self, Breach, Judgement, Reason};
use crate::world::World;
use crate::{Plan, people};

/// When the judge looks after all faults have ended, until nothing is wrong: a wake-up that was lost, a round of the reconciler, a
/// message that SQS hides for six minutes.
const LOOKS: [u64; 20] = [1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 90, 120, 240, 480];

/// What a run was like.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub breaches: Vec<Breach>,
    /// What was still wrong when it was looked at for the last time but one.
    pub at_last: Vec<Breach>,
    pub steps: usize,
    /// Steps, webhooks, invocations and shown messages.
    pub events: usize,
    /// Messages that were posted twice, by the reason that excuses it.
    pub doubles: BTreeMap<Reason, u32>,
    pub faults: BTreeMap<String, u32>,
    /// How long it took until everything was true, after the last step and fault. `None`: it never was.
    pub healed: Option<Duration>,
    /// When everything was found to be true.
    pub true_at: Option<Timestamp>,
    pub virtual_time: Duration,
    pub calls: u64,
    /// How many outside calls each invocation has made.
    pub invocations: BTreeMap<u64, (Function, u32)>,
    /// The same for two runs in which the same happened.
    pub digest: u64,
    pub chronicle: Vec<(Timestamp, Event)>,
}

/// Runs a plan on a thread of its own time.
///
/// # Errors
/// A stand-in does not start, or a fault cannot be made.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    // The SDK's jitter and its tokens.
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(Box::pin(run_in_time(plan)))
}

async fn run_in_time(plan: &Plan) -> anyhow::Result<Outcome> {
    let mut dice = Dice::new(plan.seed);
    let world = World::compose(&mut dice).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&world.platform).work());
    let (begun, start) = (Instant::now(), world.now());

    let mut doing = JoinSet::new();
    let mut faults = plan.faults.0.iter().peekable();
    for (number, step) in plan.script.0.iter().enumerate() {
        while let Some(fault) = faults.next_if(|fault| fault.at <= step.at) {
            sleep_until(begun + fault.at).await;
            make(&world, &fault.wrong).await?;
        }
        sleep_until(begun + step.at).await;
        let (world, act) = (world.clone(), step.act.clone());
        doing.spawn(async move {
            world.chronicle.note(world.now(), Event::Begun(number, act.clone()));
            let seen = Box::pin(people::act(&world, &act)).await;
            world.chronicle.note(world.now(), Event::Done(number, seen));
            world.platform.shared.nudge.notify_one();
        });
        while doing.try_join_next().is_some() {}
    }
    for fault in faults {
        sleep_until(begun + fault.at).await;
        make(&world, &fault.wrong).await?;
    }
    while doing.join_next().await.is_some() {}
    // What comes late comes; whoever is away comes back.
    while world.platform.is_waiting() || world.platform.shared.troubles().is_away(world.now()) {
        sleep(Duration::from_secs(30)).await;
    }
    world.platform.shared.troubles().end();
    // No client waits longer than that.
    sleep(Duration::from_secs(10)).await;

    let Judged { judgement: Judgement { breaches, doubles }, at_last, healed } = judge(&world).await?;
    let events = world.chronicle.read();
    let counts = |event: &Event| {
        matches!(event, Event::Begun(..) | Event::Webhook { .. } | Event::Invoked(..) | Event::Shown(_))
    };
    Ok(Outcome {
        breaches,
        at_last,
        steps: plan.script.0.len(),
        doubles,
        events: events.iter().filter(|(_, event)| counts(event)).count(),
        faults: counted(plan),
        healed,
        true_at: healed.map(|_| world.now()),
        virtual_time: Duration::try_from(world.now().duration_since(start)).unwrap_or_default(),
        invocations: world.platform.shared.all_made(),
        calls: world.platform.shared.calls.load(Ordering::Relaxed),
        digest: digest(&events),
        chronicle: events,
    })
}

/// What was found after all faults had ended.
pub(crate) struct Judged {
    pub(crate) judgement: Judgement,
    pub(crate) at_last: Vec<Breach>,
    pub(crate) healed: Option<Duration>,
}

/// Looks again and again until nothing is wrong.
pub(crate) async fn judge(world: &World) -> anyhow::Result<Judged> {
    let quiet = Instant::now();
    let (mut judgement, mut at_last) = (Judgement::default(), Vec::new());
    for seconds in LOOKS {
        sleep_until(quiet + Duration::from_secs(seconds)).await;
        judgement = oracle::judge(world).await?;
        if judgement.breaches.is_empty() {
            return Ok(Judged { judgement, at_last, healed: Some(Duration::from_secs(seconds)) });
        }
        at_last.clone_from(&judgement.breaches);
    }
    Ok(Judged { judgement, at_last, healed: None })
}

fn counted(plan: &Plan) -> BTreeMap<String, u32> {
    let mut counted = BTreeMap::new();
    for fault in &plan.faults.0 {
        *counted.entry(fault.wrong.kind()).or_insert(0) += 1;
    }
    counted
}

/// FNV-1a over what happened.
fn digest(events: &[(Timestamp, Event)]) -> u64 {
    let text = events.iter().map(|(at, event)| format!("{at} {event:?}\n"));
    text.fold(0xcbf2_9ce4_8422_2325, |digest, line| {
        line.bytes().fold(digest, |digest, byte| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    })
}

/// Lets something go wrong.
async fn make(world: &World, wrong: &Wrong) -> anyhow::Result<()> {
    let World { inside, platform, town, .. } = world;
    world.chronicle.note(world.now(), Event::Fault(format!("{wrong:?}")));
    let troubles = || platform.shared.troubles();
    match wrong {
        Wrong::Crash { function, at } => troubles().crash(*function, *at),
        Wrong::CrashIn { invocation, at } => troubles().crash_in(*invocation, *at),
        Wrong::Cold { function, clock_off } => {
            platform.cold(*function, SignedDuration::from_millis(*clock_off));
        }
        Wrong::Calls { to, skip, times, how } => troubles().calls(*to, *skip, *times, *how),
        Wrong::Away { who, lasts, how } => {
            let until = world.now().checked_add(*lasts)?;
            troubles().away(*who, until, *how);
        }
        Wrong::Webhooks { times, how } => troubles().webhooks(*times, *how),
        Wrong::NotDeleted { times } => troubles().not_deleted(*times),
        Wrong::NoSchedule { times } => troubles().no_schedule(*times),
        Wrong::Disabled { service } => {
            let service = town.services.get(service % town.services.len().max(1)).context("no service")?;
            for subscription in inside.pagerduty.subscriptions_of(service) {
                inside.pagerduty.disable(&subscription);
            }
        }
        Wrong::Expired { person } => {
            let person = town.people.get(person % town.people.len().max(1));
            if let Some(user) = person.and_then(|person| person.pagerduty.as_deref()) {
                inside.pagerduty.expire_access_tokens(user);
            }
        }
        Wrong::AppExpired => inside.pagerduty.expire_app_tokens(),
        Wrong::BotExpired => inside.teams.revoke_tokens(),
        Wrong::Rotated(what) => rotate(world, *what).await?,
    }
    Ok(())
}

async fn rotate(world: &World, what: Rotated) -> anyhow::Result<()> {
    let inside = &world.inside;
    let name = inside.app.random.token()?;
    let key = BASE64_STANDARD.encode(inside.app.random.bytes::<32>()?);
    let in_front = |ring: &str, secret: &mut Value| {
        if let Some(keys) = secret.get_mut(ring).and_then(Value::as_array_mut) {
            keys.insert(0, json!({ "id": name.clone(), "key": key.clone() }));
        }
    };
    let put = |field: &str, secret: &mut Value| {
        if let Some(value) = secret.get_mut(field) {
            *value = json!(name.clone());
        }
    };
    inside
        .change_secret(|secret| match what {
            Rotated::TokenKeys => in_front("token_keys", secret),
            Rotated::WebhookKeys => in_front("webhook_keys", secret),
            Rotated::TeamsClientSecret => put("teams_client_secret", secret),
            Rotated::PagerDutyClientSecret => put("pagerduty_client_secret", secret),
        })
        .await?;
    // The neighbour takes the new one from now on, and not the old one.
    match what {
        Rotated::TeamsClientSecret => inside.teams.change_client_secret(&name),
        Rotated::PagerDutyClientSecret => inside.pagerduty.change_client_secret(&name),
        Rotated::TokenKeys | Rotated::WebhookKeys => {}
    }
    Ok(())
}
