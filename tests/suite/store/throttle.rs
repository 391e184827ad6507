//! Counters of guesses, as attempts side by side leave them.

use rolecall::clock::Timestamp;
use rolecall::model::{ThrottleCounter, ThrottleKind};
use rolecall::store::{Settled, ThrottleKey};

use super::SECOND;
use super::scene::{NOW, Scene};

const KEY: ThrottleKey = [7; 32];

#[tokio::test]
async fn an_attempt_that_is_taken_back_leaves_the_wait_that_another_has_brought() {
    let scene = Scene::set().await;
    let mut counters = Vec::new();
    // The third brings a second of wait, the fourth two, and the fifth four.
    for at in [NOW, NOW, NOW, NOW.plus(SECOND), NOW.plus(3 * SECOND)] {
        let mut tx = scene.system(at).await;
        let before = tx.lock_throttle_counters(&[KEY]).await.unwrap()[0];
        let counter = ThrottleKind::Address.attempt(Some(before), at).unwrap_or_else(|wait| panic!("{wait:?}"));
        tx.set_throttle_counters(&[(KEY, counter)]).await.unwrap();
        tx.commit().await.unwrap();
        counters.push(counter);
    }
    let [.., fourth, fifth] = counters[..] else { unreachable!() };
    for (taken_back, count, blocked_until) in [(fourth, 4, fifth.blocked_until), (fifth, 3, Timestamp::from_micros(0))]
    {
        let mut tx = scene.system(NOW).await;
        let settled = Settled::Uncounted { blocked_until: taken_back.blocked_until };
        tx.settle_throttle_counters(&[(KEY, settled)]).await.unwrap();
        let left = tx.lock_throttle_counters(&[KEY]).await.unwrap()[0];
        tx.commit().await.unwrap();
        assert_eq!((left.count, left.blocked_until), (count, blocked_until));
    }
}

#[tokio::test]
async fn counters_that_are_settled_together_are_settled_each_in_its_way() {
    let scene = Scene::set().await;
    let never = Timestamp::from_micros(0);
    let counter = |count, wait: u32| ThrottleCounter {
        count,
        window_start: NOW,
        blocked_until: NOW.plus(wait * SECOND),
        expire_time: NOW.plus(60 * SECOND),
    };
    // Not in the order of keys, two with the same wait, and one that was forgotten and swept meanwhile.
    let [right, own, others, swept, at_nothing] = [[9; 32], [1; 32], [5; 32], [3; 32], [2; 32]];
    let bystander = [4; 32];
    let mut tx = scene.system(NOW).await;
    let before = [(right, counter(3, 1)), (own, counter(7, 2)), (others, counter(8, 4)), (bystander, counter(2, 2))];
    tx.set_throttle_counters(&before).await.unwrap();
    tx.set_throttle_counters(&[(at_nothing, counter(0, 4))]).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = scene.system(NOW).await;
    let uncounted = |wait: u32| Settled::Uncounted { blocked_until: NOW.plus(wait * SECOND) };
    let settled = [(right, Settled::Forgotten), (own, uncounted(2)), (others, uncounted(2)), (swept, uncounted(4))];
    tx.settle_throttle_counters(&settled).await.unwrap();
    // Whoever was right meanwhile has left nothing to take back.
    tx.settle_throttle_counters(&[(right, uncounted(1)), (at_nothing, uncounted(2))]).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = scene.system(NOW).await;
    let left = tx.lock_throttle_counters(&[right, own, others, swept, at_nothing, bystander]).await.unwrap();
    let begun_anew = ThrottleCounter { count: 0, window_start: never, blocked_until: never, expire_time: never };
    let without_wait = ThrottleCounter { blocked_until: never, ..counter(6, 0) };
    assert_eq!(left, [begun_anew, without_wait, counter(7, 4), begun_anew, counter(0, 4), counter(2, 2)]);
}
