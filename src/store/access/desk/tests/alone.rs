//! Who asks alone, of a database that can be looked into.

use super::*;

impl Scene {
    /// From now on who asks can look too, and nobody else has asked for a while.
    fn near(&self) {
        self.truth.near.store(true, Ordering::SeqCst);
        self.calm();
    }

    fn calm(&self) {
        self.desk.queue().last_arrival = None;
    }

    fn looks(&self) -> usize {
        self.truth.looks.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn who_asks_alone_looks_and_counts_like_any_other() {
    let scene = Scene::new(1, 256);
    lock(&scene.truth.there).insert(question(8));
    scene.near();
    let found: Vec<bool> =
        scene.desk.ask(vec![question(7), question(8)]).await.unwrap().iter().map(Found::is_something).collect();
    assert_eq!(found, [false, true]);
    scene.calm();
    lock(&scene.truth.trouble).push(Trouble::Error(Reason::DatabaseUnavailable));
    assert_eq!(reason(scene.desk.ask(vec![question(8)]).await), Reason::DatabaseUnavailable);
    assert_eq!((scene.looks(), scene.sizes()), (2, vec![2, 1]));
    assert_eq!(scene.desk.queue().clerks, 0, "a clerk was called");
    let figures = scene.desk.figures();
    assert_eq!((figures.batch_size.count, figures.batch_size.sum), (2, 3));
    assert_eq!((figures.wait_micros.count, figures.query_micros.count, figures.failures), (2, 2, 1));
}

#[tokio::test]
async fn who_asks_soon_after_another_or_while_somebody_waits_is_answered_with_the_others() {
    let scene = Scene::new(1, 256);
    let first = scene.occupy(0, 1).await;
    scene.near();
    scene.desk.queue().last_arrival = Some(Instant::now() + STAY);
    let soon = scene.ask([1]).await;
    scene.calm();
    let behind = scene.ask([2]).await;
    assert_eq!((scene.looks(), scene.waiting()), (0, (2, 2)));
    scene.go_on(2);
    for asking in [first, soon, behind] {
        asking.await.unwrap().unwrap();
    }
    assert_eq!((scene.looks(), scene.sizes()), (0, vec![1, 2]));
    // It is known of each when it came.
    assert!(scene.desk.queue().last_arrival.is_some());
    scene.calm();
    scene.desk.ask(vec![question(3)]).await.unwrap();
    assert_eq!(scene.looks(), 1);
}

#[tokio::test]
async fn where_something_is_in_the_way_a_clerk_sees_to_it() {
    let scene = Scene::new(1, 256);
    scene.go_on(1);
    scene.calm();
    assert_eq!(scene.desk.ask(vec![question(1)]).await.unwrap().len(), 1);
    assert_eq!((scene.looks(), scene.sizes()), (0, vec![1]));
}

#[tokio::test]
async fn at_a_closed_desk_nobody_looks() {
    let scene = Scene::new(1, 256);
    scene.near();
    scene.desk.close().await;
    assert_eq!(reason(scene.desk.ask(vec![question(1)]).await), Reason::DatabaseUnavailable);
    assert_eq!(scene.looks(), 0);
}
