//! That the simulation repeats itself, and finds nothing in a few seeds. Many seeds are a command of their own.

use simulation::systematic::{orders, run_order};
use simulation::{Plan, run};

#[test]
fn a_seed_repeats_itself_and_nothing_is_lost() {
    for seed in 1..3 {
        let plan = Plan::of_seed(seed);
        let (first, again) = (run(&plan).unwrap(), run(&plan).unwrap());
        assert_eq!(first.breaches, []);
        assert_eq!(first.chronicle, again.chronicle);
    }
}

#[test]
fn webhooks_may_come_in_any_order() {
    for order in orders().iter().step_by(97) {
        let ordered = run_order(7, order).unwrap();
        assert_eq!(ordered.breaches, [], "{order:?}");
    }
}
