use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::message::{Attribute, Attributes, Draft, Message, Value};
use super::queues::Queues;
use super::refusal::Refusal;
use super::settings::arn;
use super::{Depth, Received, Sent};

const JOBS: &str = "jobs.fifo";
const DEAD: &str = "dead.fifo";
const MAX_RECEIVES: u32 = 3;

/// Two queues and a clock.
struct World {
    queues: Queues,
    now: Timestamp,
}

impl World {
    fn new(attributes: &[(&str, &str)]) -> Self {
        let mut world = Self { queues: Queues::default(), now: Timestamp::UNIX_EPOCH };
        world.create(DEAD, &[]).unwrap();
        let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":{MAX_RECEIVES}}}"#, arn(DEAD));
        let mut all = vec![("VisibilityTimeout", "30"), ("RedrivePolicy", policy.as_str())];
        all.extend_from_slice(attributes);
        world.create(JOBS, &all).unwrap();
        world
    }

    fn create(&mut self, name: &str, attributes: &[(&str, &str)]) -> Result<(), Refusal> {
        let attributes: BTreeMap<_, _> = attributes
            .iter()
            .chain(&[("FifoQueue", "true")])
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self.queues.create(name, &attributes, self.now)
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// Sends `body` to `group`; the body is also the de-duplication id.
    fn send(&mut self, group: &str, body: &str) -> Sent {
        let draft = draft(group, body);
        self.queues.queue_mut(JOBS).unwrap().send(draft, self.now).unwrap()
    }

    fn receive(&mut self, max: i64) -> Vec<Received> {
        self.queues.receive(JOBS, Some(max), None, self.now).unwrap()
    }

    fn delete(&mut self, received: &Received) -> Result<(), Refusal> {
        self.queues.queue_mut(JOBS).unwrap().delete(&received.receipt_handle, self.now)
    }

    fn hide(&mut self, received: &Received, seconds: u32) -> Result<(), Refusal> {
        self.queues.queue_mut(JOBS).unwrap().change_visibility(&received.receipt_handle, seconds, self.now)
    }

    fn messages(&self, queue: &str) -> Vec<Message> {
        self.queues.queue(queue).unwrap().messages().cloned().collect()
    }

    fn depth(&self, queue: &str) -> (usize, usize) {
        let Depth { visible, in_flight } = self.queues.queue(queue).unwrap().depth(self.now);
        (visible, in_flight)
    }
}

fn draft(group: &str, body: &str) -> Draft {
    Draft {
        body: body.to_owned(),
        group: group.to_owned(),
        deduplication_id: Some(body.to_owned()),
        attributes: Attributes::new(),
    }
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received.iter().map(|received| received.message.body.as_str()).collect()
}

#[test]
fn one_receive_takes_whole_groups_in_order() {
    let mut world = World::new(&[]);
    for (group, body) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("a", "a3"), ("c", "c1")] {
        world.send(group, body);
    }
    assert_eq!(bodies(&world.receive(2)), ["a1", "a2"]);
    assert_eq!(bodies(&world.receive(1)), ["b1"], "a3 waits behind a1 and a2");
    assert_eq!(bodies(&world.receive(10)), ["c1"]);
    assert!(world.receive(10).is_empty());
    world.pass(30);
    assert_eq!(bodies(&world.receive(10)), ["a1", "a2", "a3", "b1", "c1"]);
}

#[test]
fn a_served_group_goes_behind_the_others() {
    let mut world = World::new(&[]);
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1")] {
        world.send(group, body);
    }
    let first = world.receive(1);
    world.hide(first.first().unwrap(), 0).unwrap();
    assert_eq!(bodies(&world.receive(10)), ["b1", "c1", "a1", "a2"]);
}

#[test]
fn a_group_waits_for_its_first_message_in_flight() {
    let mut world = World::new(&[]);
    for body in ["1", "2", "3"] {
        world.send("a", body);
    }
    let received = world.receive(2);
    let [first, second] = received.as_slice() else { panic!("{received:?}") };
    world.hide(second, 0).unwrap();
    assert!(world.receive(10).is_empty(), "2 is visible but behind 1");
    world.delete(first).unwrap();
    assert_eq!(bodies(&world.receive(1)), ["2"]);
    assert!(world.receive(10).is_empty(), "3 is behind 2");
}

#[test]
fn a_head_comes_back_even_while_later_ones_are_in_flight() {
    let mut world = World::new(&[]);
    for body in ["1", "2", "3"] {
        world.send("a", body);
    }
    let received = world.receive(2);
    world.hide(received.first().unwrap(), 0).unwrap();
    assert_eq!(bodies(&world.receive(10)), ["1"], "neither 2, which is in flight, nor 3, which is behind it");
}

#[test]
fn next_visible_at_is_when_a_receive_has_something() {
    let mut world = World::new(&[]);
    assert_eq!(world.queues.next_visible_at(), None);
    let start = world.now;
    let at = |seconds| Some(start.checked_add(SignedDuration::from_secs(seconds)).unwrap());
    world.send("a", "1");
    world.send("a", "2");
    world.pass(5);
    assert_eq!(world.queues.next_visible_at(), at(0));
    let first = world.receive(1);
    assert_eq!(world.queues.next_visible_at(), at(35), "2 waits for 1");
    world.send("b", "3");
    assert_eq!(world.queues.next_visible_at(), at(5));
    world.receive(1);
    world.hide(first.first().unwrap(), 100).unwrap();
    assert_eq!(world.queues.next_visible_at(), at(35), "now b is first");
    assert_eq!(world.depth(JOBS), (1, 2));
}

#[test]
fn a_duplicate_is_answered_like_the_first_for_five_minutes() {
    let mut world = World::new(&[]);
    let first = world.send("a", "1");
    assert_eq!(world.send("b", "1"), first, "also in another group");
    let received = world.receive(10);
    world.delete(received.first().unwrap()).unwrap();
    world.pass(299);
    assert_eq!(world.send("a", "1"), first, "also after it was deleted");
    assert_eq!(world.depth(JOBS), (0, 0));
    world.pass(1);
    let second = world.send("a", "1");
    assert_ne!(second.message_id, first.message_id);
    assert!(second.sequence > first.sequence);
    assert_eq!(world.depth(JOBS), (1, 0));
}

#[test]
fn a_group_can_be_the_scope_of_deduplication() {
    let mut world = World::new(&[("DeduplicationScope", "messageGroup")]);
    let first = world.send("a", "1");
    assert_ne!(world.send("b", "1"), first);
    assert_eq!(world.send("a", "1"), first);
    assert_eq!(bodies(&world.receive(10)), ["1", "1"]);
}

#[test]
fn content_identifies_a_message_only_if_the_queue_says_so() {
    let without_id = |body: &str| Draft { deduplication_id: None, ..draft("a", body) };
    let mut world = World::new(&[("ContentBasedDeduplication", "true")]);
    let now = world.now;
    let queue = world.queues.queue_mut(JOBS).unwrap();
    let first = queue.send(without_id("x"), now).unwrap();
    assert_eq!(queue.send(without_id("x"), now).unwrap(), first);
    assert_ne!(queue.send(without_id("y"), now).unwrap(), first);
    let id = queue.messages().next().unwrap().deduplication_id.clone();
    assert_eq!(id, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", "SHA-256 of x");

    let mut world = World::new(&[]);
    let refused = world.queues.queue_mut(JOBS).unwrap().send(without_id("x"), now);
    assert!(matches!(refused, Err(Refusal::InvalidParameterValue(_))), "{refused:?}");
}

#[test]
fn a_receipt_handle_ends_with_the_visibility() {
    let mut world = World::new(&[]);
    world.send("a", "1");
    let first = world.receive(1).remove(0);
    world.pass(30);
    let expired = Refusal::ReceiptHandleExpired(first.receipt_handle.clone());
    assert_eq!(world.delete(&first), Err(expired.clone()), "visible again");
    assert!(matches!(world.hide(&first, 5), Err(Refusal::InvalidParameterValue(_))));
    let second = world.receive(1).remove(0);
    assert_eq!(world.delete(&first), Err(expired), "received again");
    assert!(matches!(world.hide(&first, 0), Err(Refusal::InvalidParameterValue(_))));
    assert_eq!(world.depth(JOBS), (0, 1));
    assert_eq!(world.delete(&second), Ok(()));
    assert_eq!(world.delete(&second), Ok(()), "deleting once more is no error");
    assert!(matches!(world.hide(&second, 5), Err(Refusal::InvalidParameterValue(_))));
}

#[test]
fn refuses_handles_that_are_not_its_own() {
    let mut world = World::new(&[]);
    world.send("a", "1");
    let received = world.receive(1).remove(0);
    let now = world.now;
    let other = world.queues.queue_mut(DEAD).unwrap().delete(&received.receipt_handle, now);
    assert_eq!(other, Err(Refusal::ReceiptHandleIsInvalid));
    for handle in ["", "nonsense", "bm9uc2Vuc2U", "////"] {
        let queue = world.queues.queue_mut(JOBS).unwrap();
        assert_eq!(queue.delete(handle, now), Err(Refusal::ReceiptHandleIsInvalid), "{handle:?}");
        assert_eq!(queue.change_visibility(handle, 1, now), Err(Refusal::ReceiptHandleIsInvalid), "{handle:?}");
    }
}

#[test]
fn hides_for_at_most_twelve_hours_after_the_receive() {
    let mut world = World::new(&[]);
    world.send("a", "1");
    let received = world.receive(1).remove(0);
    assert_eq!(world.hide(&received, 43_200), Ok(()));
    world.pass(1);
    assert!(matches!(world.hide(&received, 43_200), Err(Refusal::InvalidParameterValue(_))));
    assert_eq!(world.hide(&received, 43_199), Ok(()));
}

#[test]
fn gives_a_message_up_after_its_last_receive_and_lets_its_group_go_on() {
    let mut world = World::new(&[]);
    let attributes = Attributes::from([(
        "cause".to_owned(),
        Attribute { data_type: "String".to_owned(), value: Value::Text("event".to_owned()) },
    )]);
    let poison = Draft { attributes: attributes.clone(), ..draft("a", "poison") };
    let now = world.now;
    let sent = world.queues.queue_mut(JOBS).unwrap().send(poison, now).unwrap();
    world.send("a", "next");
    for count in 1..=MAX_RECEIVES {
        let received = world.receive(1).remove(0);
        assert_eq!((received.message.body.as_str(), received.message.receive_count), ("poison", count));
        world.pass(30);
    }
    assert_eq!(bodies(&world.receive(1)), ["next"]);
    let expected = Message {
        id: sent.message_id.clone(),
        sequence: 1,
        group: "a".to_owned(),
        deduplication_id: sent.message_id,
        body: "poison".to_owned(),
        attributes,
        sent_at: world.now,
        visible_at: world.now,
        receive_count: MAX_RECEIVES,
        first_received_at: Some(Timestamp::UNIX_EPOCH),
        received_at: Some(Timestamp::from_second(60).unwrap()),
        dead_letter_source: Some(JOBS.to_owned()),
    };
    assert_eq!(world.messages(DEAD), [expected]);
    assert_eq!(world.queues.next_visible_at(), Some(Timestamp::from_second(120).unwrap()), "the dead do not count");
}

#[test]
fn dead_letters_can_be_moved_back_as_new_messages() {
    let mut world = World::new(&[]);
    for body in ["1", "2"] {
        world.send("a", body);
    }
    for _ in 0..=MAX_RECEIVES {
        world.receive(10);
        world.pass(30);
    }
    assert_eq!((world.depth(JOBS), world.depth(DEAD)), ((0, 0), (2, 0)));
    let held = world.queues.receive(DEAD, None, None, world.now).unwrap();
    assert_eq!(bodies(&held), ["1"]);
    world.send("a", "3");
    world.queues.start_move(&arn(DEAD), None, world.now).unwrap();
    assert_eq!((world.depth(JOBS), world.depth(DEAD)), ((2, 0), (0, 1)), "what is in flight stays");
    let received = world.receive(10);
    assert_eq!(bodies(&received), ["3", "2"], "behind what is there");
    let revived = &received.last().unwrap().message;
    assert_eq!((revived.receive_count, revived.sent_at, &revived.dead_letter_source), (1, world.now, &None));
    let moves = world.queues.moves(&arn(DEAD), 10).unwrap();
    assert_eq!(moves.iter().map(|done| done.moved).collect::<Vec<_>>(), [1]);
}

#[test]
fn refuses_moves_that_make_no_sense() {
    let mut world = World::new(&[]);
    let now = world.now;
    let mut start =
        |source: &str, destination: Option<&str>| world.queues.start_move(source, destination, now).map(drop);
    let nowhere = arn("nowhere.fifo");
    assert_eq!(start(&nowhere, None), Err(Refusal::ResourceNotFound("SourceArn")));
    assert_eq!(start("nonsense", None), Err(Refusal::ResourceNotFound("SourceArn")));
    assert_eq!(start(&arn(DEAD), Some(&nowhere)), Err(Refusal::ResourceNotFound("DestinationArn")));
    assert!(matches!(start(&arn(JOBS), None), Err(Refusal::InvalidParameterValue(_))), "not a dead-letter queue");
}

#[test]
fn creating_a_queue_twice_is_the_same_queue_or_refused() {
    let mut world = World::new(&[]);
    world.send("a", "1");
    assert_eq!(world.create(JOBS, &[("VisibilityTimeout", "30")]), Ok(()));
    assert_eq!(world.depth(JOBS), (1, 0));
    let differs = world.create(JOBS, &[("VisibilityTimeout", "31")]);
    assert_eq!(differs, Err(Refusal::QueueNameExists("VisibilityTimeout".to_owned())));
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":1}}"#, arn("nowhere.fifo"));
    let dangling = world.create("other.fifo", &[("RedrivePolicy", &policy)]);
    assert!(matches!(dangling, Err(Refusal::InvalidParameterValue(_))), "{dangling:?}");
}

#[test]
fn checks_the_numbers_of_a_receive() {
    let mut world = World::new(&[]);
    for (max, visibility) in [(Some(0), None), (Some(11), None), (None, Some(-1)), (None, Some(43_201))] {
        let refused = world.queues.receive(JOBS, max, visibility, world.now);
        assert!(matches!(refused, Err(Refusal::InvalidParameterValue(_))), "{max:?} {visibility:?}");
    }
    assert_eq!(world.queues.receive("nowhere.fifo", None, None, world.now), Err(Refusal::QueueDoesNotExist));
}

#[test]
fn state_survives_being_written_and_read() {
    let mut world = World::new(&[]);
    world.send("a", "1");
    world.send("b", "2");
    let received = world.receive(1).remove(0);
    let written = serde_json::to_string(&world.queues).unwrap();
    world.queues = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&world.queues).unwrap(), written);
    assert_eq!(world.delete(&received), Ok(()));
    assert_eq!(bodies(&world.receive(10)), ["2"]);
    assert_eq!(world.send("a", "1").message_id, received.message.id, "the window is remembered too");
}

/// What anybody can do with a queue.
#[derive(Debug, Clone)]
enum Step {
    Send { group: u8, id: u8 },
    Receive { max: i64, visibility: i64 },
    Delete { handle: usize },
    Hide { handle: usize, seconds: u32 },
    Pass { seconds: i64 },
    MoveBack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..40_u8).prop_map(|(group, id)| Step::Send { group, id }),
        4 => (1..=10_i64, prop_oneof![Just(0_i64), 1..90_i64]).prop_map(|(max, visibility)| Step::Receive { max, visibility }),
        2 => (0..64_usize).prop_map(|handle| Step::Delete { handle }),
        2 => (0..64_usize, prop_oneof![Just(0_u32), 1..90_u32]).prop_map(|(handle, seconds)| Step::Hide { handle, seconds }),
        2 => (1..60_i64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::MoveBack),
    ]
}

/// What has to be true after any steps, kept beside the queue.
#[derive(Default)]
struct Ledger {
    handles: Vec<Received>,
    /// By sequence number of the living queue, which a move gives anew.
    accepted: BTreeSet<String>,
    deleted: BTreeSet<String>,
    moved_back: usize,
}

fn take(world: &mut World, ledger: &mut Ledger, step: &Step) -> Result<(), TestCaseError> {
    let pick = |ledger: &Ledger, handle: usize| ledger.handles.get(handle % ledger.handles.len().max(1)).cloned();
    match *step {
        Step::Send { group, id } => {
            let sent = world.send(&format!("g{group}"), &format!("d{id}"));
            ledger.accepted.insert(sent.message_id);
        }
        Step::Receive { max, visibility } => check_receive(world, ledger, max, visibility)?,
        Step::Delete { handle } => {
            let Some(received) = pick(ledger, handle) else { return Ok(()) };
            let held = holds(world, &received);
            let known = world.messages(JOBS).iter().any(|message| message.id == received.message.id);
            prop_assert_eq!(world.delete(&received).is_ok(), held || !known, "only who holds a message can delete it");
            if held {
                ledger.deleted.insert(received.message.id);
            }
        }
        Step::Hide { handle, seconds } => {
            let Some(received) = pick(ledger, handle) else { return Ok(()) };
            let held = holds(world, &received);
            prop_assert_eq!(world.hide(&received, seconds).is_ok(), held, "only who holds a message can hide it");
        }
        Step::Pass { seconds } => world.pass(seconds),
        Step::MoveBack => {
            let before = world.messages(DEAD).len();
            world.queues.start_move(&arn(DEAD), None, world.now).unwrap();
            ledger.moved_back += before - world.messages(DEAD).len();
        }
    }
    Ok(())
}

fn holds(world: &World, received: &Received) -> bool {
    world.messages(JOBS).iter().any(|message| {
        message.id == received.message.id
            && message.receive_count == received.message.receive_count
            && message.visible_at > world.now
    })
}

/// A receive gives the head of a group, in order, up to the first message in flight, and nothing else.
fn check_receive(world: &mut World, ledger: &mut Ledger, max: i64, visibility: i64) -> Result<(), TestCaseError> {
    let before = world.messages(JOBS);
    let due = world.queues.queue(JOBS).unwrap().next_visible_at().is_some_and(|at| at <= world.now);
    let buried = world.messages(DEAD).len();
    let received = world.queues.receive(JOBS, Some(max), Some(visibility), world.now).unwrap();
    let gone = world.messages(DEAD).len() > buried;
    prop_assert_eq!(due, !received.is_empty() || gone, "next_visible_at tells the truth");
    prop_assert!(received.len() <= usize::try_from(max).unwrap());
    let after = world.messages(JOBS);
    let groups: BTreeSet<&str> = received.iter().map(|one| one.message.group.as_str()).collect();
    for group in groups {
        let of_group =
            before.iter().filter(|message| message.group == group && after.iter().any(|left| left.id == message.id));
        let taken: Vec<_> =
            received.iter().filter(|one| one.message.group == group).map(|one| one.message.sequence).collect();
        let head: Vec<_> =
            of_group.take_while(|message| message.visible_at <= world.now).map(|message| message.sequence).collect();
        prop_assert!(head.starts_with(&taken), "{taken:?} is not the head of {head:?}");
    }
    for one in &received {
        prop_assert!(one.message.receive_count <= MAX_RECEIVES, "received more often than allowed");
    }
    ledger.handles.extend(received);
    Ok(())
}

proptest! {
    #[test]
    fn nothing_is_lost_doubled_or_overtaken(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(&[]);
        let mut ledger = Ledger::default();
        for step in &steps {
            take(&mut world, &mut ledger, step)?;
            let kept = world.messages(JOBS);
            for pair in kept.windows(2) {
                let [first, second] = pair else { continue };
                prop_assert!(first.group != second.group || first.sequence < second.sequence, "out of order");
            }
            let ids: BTreeSet<_> = kept.iter().chain(&world.messages(DEAD)).map(|message| message.id.clone()).collect();
            prop_assert_eq!(ids.len(), kept.len() + world.messages(DEAD).len(), "doubled");
            prop_assert!(ids.is_disjoint(&ledger.deleted), "a deleted message is back");
            // A move gives new ids, so after one only the number is known.
            let total = ids.len() + ledger.deleted.len();
            prop_assert_eq!(total, ledger.accepted.len(), "lost or made up");
            if ledger.moved_back == 0 {
                let all: BTreeSet<_> = ids.union(&ledger.deleted).cloned().collect();
                prop_assert_eq!(&all, &ledger.accepted);
            }
        }
    }
}
