//! Whether a history has a legal serial order (Wing and Gong's search, with Lowe's memory of what was tried).

use std::collections::HashSet;

use super::model::{Act, Operation, State};

/// One operation of a history.
#[derive(Clone, Debug)]
pub struct Event {
    pub operation: Operation,
    pub start: u64,
    /// When it had ended and what it answered, unless nobody knows: then it may have happened at any time since, or not.
    pub end: Option<(u64, String)>,
}

/// Looks for an order that explains all answers, and that leaves `last` if that is known.
pub fn explains(first: State, history: &[Event], last: Option<State>) -> bool {
    assert!(history.len() <= 64);
    let mut tried = HashSet::new();
    let mut open = vec![(0_u64, first)];
    let known = history.iter().enumerate().filter(|(_, event)| event.end.is_some());
    let all_known = known.fold(0_u64, |all, (index, _)| all | 1 << index);
    while let Some((done, state)) = open.pop() {
        if done & all_known == all_known && last.is_none_or(|last| last == state) {
            return true;
        }
        if !tried.insert((done, state)) {
            continue;
        }
        // Nothing may come before what had ended when it began.
        let left = || history.iter().enumerate().filter(|(index, _)| done & 1 << index == 0);
        let horizon = left().filter_map(|(_, event)| event.end.as_ref().map(|(end, _)| *end)).min().unwrap_or(u64::MAX);
        for (index, event) in left().filter(|(_, event)| event.start < horizon) {
            let (after, answer) = state.after(event.operation);
            if event.end.as_ref().is_none_or(|(_, said)| said == answer) {
                open.push((done | 1 << index, after));
            }
        }
    }
    false
}

mod tests {
    use rolecall::model::Role::{Admin, Agent, Owner};

    use super::*;

    const FIRST: State = State([Some(Owner), Some(Owner), Some(Admin), Some(Agent)]);

    fn event(by: usize, act: Act, start: u64, end: u64, answer: &str) -> Event {
        Event { operation: Operation { by, act }, start, end: Some((end, answer.to_owned())) }
    }

    #[test]
    fn a_history_that_some_order_explains_is_legal() {
        let demotions = [
            event(0, Act::Change(1, Admin), 1, 4, "OK"),
            event(1, Act::Change(0, Admin), 2, 3, "OWNER_REQUIRED"),
            event(2, Act::Look(1), 5, 6, "ADMIN"),
        ];
        assert!(explains(FIRST, &demotions, None));
        let after = State([Some(Owner), Some(Admin), Some(Admin), Some(Agent)]);
        assert!(explains(FIRST, &demotions, Some(after)));
        assert!(!explains(FIRST, &demotions, Some(FIRST)), "what it left is not what it says");
    }

    #[test]
    fn a_right_that_outlives_its_removal_is_caught() {
        let look = |start, end| event(2, Act::Look(3), start, end, "AGENT");
        let removal = event(2, Act::Remove(3), 1, 4, "OK");
        assert!(explains(FIRST, &[removal.clone(), look(3, 6)], None), "they overlap");
        assert!(!explains(FIRST, &[removal, look(5, 6)], None));
    }

    #[test]
    fn two_owners_who_both_demote_each_other_are_caught() {
        let both = [event(0, Act::Change(1, Admin), 1, 4, "OK"), event(1, Act::Change(0, Admin), 2, 3, "OK")];
        assert!(!explains(FIRST, &both, None));
        let both_leave = [event(0, Act::Leave, 1, 4, "OK"), event(1, Act::Leave, 2, 3, "OK")];
        assert!(!explains(FIRST, &both_leave, None));
    }

    #[test]
    fn an_answer_that_goes_back_in_time_is_caught() {
        let history = [
            event(0, Act::Change(3, Admin), 1, 9, "OK"),
            event(2, Act::Look(3), 2, 3, "ADMIN"),
            event(2, Act::Look(3), 4, 5, "AGENT"),
        ];
        assert!(!explains(FIRST, &history, None));
        assert!(explains(FIRST, &history[..2], None));
    }

    #[test]
    fn what_nobody_knows_the_end_of_may_have_happened_or_not_but_not_before_it_began() {
        let lost = Event { operation: Operation { by: 0, act: Act::Remove(3) }, start: 5, end: None };
        for (start, end, answer, legal) in
            [(1, 2, "AGENT", true), (1, 2, "NOT_A_MEMBER", false), (6, 7, "AGENT", true), (6, 7, "NOT_A_MEMBER", true)]
        {
            let look = event(2, Act::Look(3), start, end, answer);
            assert_eq!(explains(FIRST, &[lost.clone(), look], None), legal, "{answer} at {start}");
        }
    }
}
