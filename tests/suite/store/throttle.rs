//! Counters of guesses, as attempts side by side leave them.

use rolecall::clock::Timestamp;
use rolecall::model::ThrottleKind;
use rolecall::store::ThrottleKey;

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
        tx.uncount_attempt(&KEY, taken_back.blocked_until).await.unwrap();
        let left = tx.lock_throttle_counters(&[KEY]).await.unwrap()[0];
        tx.commit().await.unwrap();
        assert_eq!((left.count, left.blocked_until), (count, blocked_until));
    }
}
