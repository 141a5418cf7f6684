//! Makes a failing plan shorter: whatever it fails without is not the reason.

use crate::plan::Plan;

/// A shorter plan of which `fails` is still true: no single step or fault can be left out, unless `most` attempts were too few.
pub fn shrink(plan: &Plan, most: usize, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut plan = plan.clone();
    let mut left = most;
    loop {
        let before = plan.size();
        // Faults first: with the wrong ones away, fewer steps matter.
        let faults = without_parts(plan.faults.0.clone(), &mut left, |faults| {
            fails(&Plan { faults: crate::Faults(faults.to_vec()), ..plan.clone() })
        });
        plan.faults.0 = faults;
        let steps = without_parts(plan.script.0.clone(), &mut left, |steps| {
            fails(&Plan { script: crate::Script(steps.to_vec()), ..plan.clone() })
        });
        plan.script.0 = steps;
        if plan.size() == before || left == 0 {
            return plan;
        }
    }
}

/// Leaves out halves, quarters and so on down to single parts, as long as `fails` stays true.
fn without_parts<T: Clone>(mut whole: Vec<T>, left: &mut usize, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut size = whole.len();
    while size > 0 {
        let mut at = 0;
        while at < whole.len() && *left > 0 {
            let end = (at + size).min(whole.len());
            let rest: Vec<T> = whole.iter().take(at).chain(whole.iter().skip(end)).cloned().collect();
            *left -= 1;
            if fails(&rest) {
                whole = rest;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_the_reason_is_left() {
        let plan = Plan::of_seed(9);
        let (step, fault) = (plan.script.0[7].clone(), plan.faults.0[2].clone());
        let mut tried = 0;
        let short = shrink(&plan, 1000, |plan| {
            tried += 1;
            plan.script.0.contains(&step) && plan.faults.0.contains(&fault)
        });
        assert_eq!((short.script.0, short.faults.0), (vec![step], vec![fault]));
        assert!(tried < 200, "{tried}");
    }

    #[test]
    fn it_gives_up_after_so_many_attempts_and_still_fails() {
        let plan = Plan::of_seed(9);
        let late = |plan: &Plan| plan.script.0.iter().filter(|step| step.at > Duration::from_secs(60)).count() > 5;
        let short = shrink(&plan, 3, late);
        assert!(late(&short) && short.size() <= plan.size());
    }
}
