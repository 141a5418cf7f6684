//! Runs a target on many inputs and says what they cost and which of them broke a promise.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::{Duration, Instant};

use fastrand::Rng;
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

use crate::targets::Target;
use crate::{corpus, mutate};

/// No input may take longer. Code that was not optimised takes about ten times as long.
pub const MOST_TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 100 });

/// No input may need more at any moment.
pub const MOST_MEMORY: usize = 256 * 1024 * 1024;

/// Longest input that mutations make. A document of this length takes long enough where code was not optimised.
pub const MOST_BYTES: usize = if cfg!(debug_assertions) { 16 * 1024 } else { 256 * 1024 };

/// A stack that is used for ever grows without an end, and its table becomes slow.
const RENEWED_EVERY: u64 = 4_000;

/// Inputs with a new outcome that are kept to be mutated further.
const MOST_KEPT: usize = 2_000;

/// A target that fails at every input is given up.
const MOST_FAILURES: usize = 5;

/// How long parts are left out of a failing input.
const MINIMIZED_FOR: Duration = Duration::from_secs(20);

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    static OUTCOME: Cell<u64> = const { Cell::new(0) };
}

/// What the running input led to. An input whose outcome nobody has seen yet is worth mutating.
pub fn outcome(what: impl Hash) {
    let mut hasher = DefaultHasher::new();
    (OUTCOME.get(), what).hash(&mut hasher);
    OUTCOME.set(hasher.finish());
}

/// A promise that an input has broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// With where, and what was said.
    Panic(String),
    Slow(Duration),
    Large(usize),
}

impl Broken {
    /// The same fault, by all that can be seen of it.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Panic(one), Self::Panic(other)) => place(one) == place(other),
            (Self::Slow(_), Self::Slow(_)) | (Self::Large(_), Self::Large(_)) => true,
            _ => false,
        }
    }
}

/// Where it panicked.
fn place(panic: &str) -> &str {
    panic.split_once(": ").map_or(panic, |(place, _)| place)
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Panic(said) => write!(f, "panic at {said}"),
            Self::Slow(time) => write!(f, "took {} ms", time.as_millis()),
            Self::Large(bytes) => write!(f, "needed {} MB", bytes >> 20),
        }
    }
}

/// What one input cost.
#[derive(Debug, Clone)]
pub struct Cost {
    pub time: Duration,
    /// At its worst moment, above what was in use before.
    pub memory: usize,
    pub outcome: u64,
    pub broken: Option<Broken>,
}

/// An input that broke a promise.
#[derive(Debug, Clone)]
pub struct Failure {
    pub input: Vec<u8>,
    pub broken: Broken,
}

/// What became of a target.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub inputs: u64,
    pub time: Duration,
    pub slowest: Duration,
    pub peak: usize,
    /// How many different outcomes were seen.
    pub outcomes: usize,
    pub failures: Vec<Failure>,
}

/// The engine, with the allocator that its binary must have: it knows what an input needs.
#[derive(Debug)]
pub struct Engine {
    pub memory: &'static PeakAlloc,
}

impl Engine {
    /// Feeds the target until its time is up: first the corpus, then mutations of it, the same ones for the same seed.
    #[must_use]
    pub fn run(&self, target: &Target, budget: Duration, seed: u64) -> Report {
        let mut rng = Rng::with_seed(seed);
        let mut pool = corpus::of(target.name);
        let (seeds, mut seen) = (pool.len(), BTreeSet::new());
        let (mut report, mut next) = (Report::default(), 0);
        (target.renew)();
        #[expect(clippy::disallowed_methods, reason = "an input's time is real")]
        let begun = Instant::now();
        while begun.elapsed() < budget || next < seeds {
            let input = match pool.get(next).filter(|_| next < seeds) {
                Some(seed) => seed.clone(),
                None => mutate::one(&mut rng, &pool, MOST_BYTES),
            };
            next += 1;
            let cost = self.measured(target, &input);
            report.inputs += 1;
            report.slowest = report.slowest.max(cost.time);
            report.peak = report.peak.max(cost.memory);
            if seen.insert(cost.outcome) && next > seeds && pool.len() < MOST_KEPT {
                pool.push(input.clone());
            }
            if let Some(broken) = cost.broken {
                (target.renew)();
                if !report.failures.iter().any(|known| known.broken.is_like(&broken)) {
                    report.failures.push(Failure { input, broken });
                }
                if report.failures.len() >= MOST_FAILURES {
                    break;
                }
            } else if report.inputs.is_multiple_of(RENEWED_EVERY) {
                (target.renew)();
            }
        }
        report.time = begun.elapsed();
        report.outcomes = seen.len();
        report
    }

    /// One input. What takes too long is tried twice again: something may have been made for the first time.
    #[must_use]
    pub fn measured(&self, target: &Target, input: &[u8]) -> Cost {
        let most = MOST_TIME * target.patience;
        let mut cost = self.tried(target, input);
        for _ in 0..2 {
            if cost.time <= most || matches!(cost.broken, Some(Broken::Panic(_))) {
                break;
            }
            let again = self.tried(target, input);
            cost.time = cost.time.min(again.time);
        }
        if cost.broken.is_none() {
            cost.broken = if cost.time > most {
                Some(Broken::Slow(cost.time))
            } else if cost.memory > MOST_MEMORY {
                Some(Broken::Large(cost.memory))
            } else {
                None
            };
        }
        cost
    }

    fn tried(&self, target: &Target, input: &[u8]) -> Cost {
        listen();
        OUTCOME.set(0);
        SAID.set(None);
        WATCHED.set(true);
        let before = self.memory.current_usage();
        self.memory.reset_peak_usage();
        let begun = worked();
        let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        let time = worked().saturating_sub(begun);
        let memory = self.memory.peak_usage().saturating_sub(before);
        WATCHED.set(false);
        let broken = ended.err().map(|said| Broken::Panic(SAID.take().unwrap_or_else(|| words(said.as_ref()))));
        Cost { time, memory, outcome: OUTCOME.get(), broken }
    }

    /// The shortest input that breaks the same promise, found by leaving parts out.
    #[must_use]
    pub fn minimized(&self, target: &Target, failure: &Failure) -> Vec<u8> {
        #[expect(clippy::disallowed_methods, reason = "the patience of whoever waits is real")]
        let begun = Instant::now();
        let mut shortest = failure.input.clone();
        let mut part = shortest.len().div_ceil(2);
        while part > 0 {
            let mut at = 0;
            while at < shortest.len() {
                if begun.elapsed() > MINIMIZED_FOR {
                    return shortest;
                }
                let mut shorter = shortest.clone();
                shorter.drain(at..(at + part).min(shortest.len()));
                let cost = self.measured(target, &shorter);
                if cost.broken.is_some() {
                    (target.renew)();
                }
                if cost.broken.is_some_and(|broken| broken.is_like(&failure.broken)) {
                    shortest = shorter;
                } else {
                    at += part;
                }
            }
            part /= 2;
        }
        shortest
    }
}

/// How long this thread has worked: what the machine does besides does not count.
fn worked() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn words(said: &(dyn Any + Send)) -> String {
    let text = said.downcast_ref::<String>().map(String::as_str).or_else(|| said.downcast_ref::<&str>().copied());
    text.unwrap_or("(no words)").to_owned()
}

/// What a watched thread says when it panics is kept in place of being printed.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !WATCHED.get() {
                return usual(panic);
            }
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let said = format!("{place}: {}", words(panic.payload()));
            SAID.with(|kept| {
                // The first one says what went wrong.
                kept.borrow_mut().get_or_insert(said);
            });
        }));
    });
}
