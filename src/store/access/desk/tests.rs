//! The desk before a database that a test holds in its hand: it says when a statement goes on, and how it ends.

mod alone;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet, yield_now};
use uuid::Uuid;

use super::*;
use crate::model::WorkspaceId;

/// What the database holds, and what it was asked.
#[derive(Default)]
struct Truth {
    there: Mutex<HashSet<Question>>,
    asked: Mutex<Vec<Inquiry>>,
    begun: watch::Sender<usize>,
    connections: AtomicUsize,
    /// Whether connections are refused, each when it may go on.
    away: AtomicBool,
    /// What the next statements do instead of answering.
    trouble: Mutex<Vec<Trouble>>,
    /// Whether who asks can look too.
    near: AtomicBool,
    looks: AtomicUsize,
}

enum Trouble {
    Error(Reason),
    Panic,
}

struct Database {
    truth: Arc<Truth>,
    /// A statement goes on when it gets one.
    may_go_on: Arc<Semaphore>,
    /// How long statements take, in yields.
    slow: usize,
}

struct Connection {
    truth: Arc<Truth>,
    may_go_on: Arc<Semaphore>,
    slow: usize,
}

#[async_trait]
impl Source for Database {
    async fn connect(&self) -> Result<Box<dyn Line>> {
        if self.truth.away.load(Ordering::SeqCst) {
            self.may_go_on.acquire().await.unwrap().forget();
            return Err(Reason::DatabaseUnavailable.into());
        }
        self.truth.connections.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Connection {
            truth: Arc::clone(&self.truth),
            may_go_on: Arc::clone(&self.may_go_on),
            slow: self.slow,
        }))
    }

    fn on_the_spot(&self, questions: &[Question]) -> Option<Result<Findings>> {
        if !self.truth.near.load(Ordering::SeqCst) {
            return None;
        }
        self.truth.looks.fetch_add(1, Ordering::SeqCst);
        lock(&self.truth.asked).push(Inquiry::of(questions.iter()));
        Some(self.truth.outcome(lock(&self.truth.trouble).pop()))
    }

    async fn close(&self) {}
}

impl Truth {
    /// Everything there is, asked for or not: whoever reads an answer that was not meant for it gets one.
    fn outcome(&self, trouble: Option<Trouble>) -> Result<Findings> {
        match trouble {
            Some(Trouble::Error(reason)) => Err(Error::new(reason).caused_by("on purpose")),
            Some(Trouble::Panic) => panic!("on purpose"),
            None => Ok(lock(&self.there).iter().map(|question| (*question, Found::Workspace)).collect()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.truth.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Line for Connection {
    async fn ask(&mut self, inquiry: &Inquiry) -> Result<Findings> {
        lock(&self.truth.asked).push(inquiry.clone());
        self.truth.begun.send_modify(|begun| *begun += 1);
        let trouble = lock(&self.truth.trouble).pop();
        // What is there now, not when it goes on.
        let found = self.truth.outcome(None);
        self.may_go_on.acquire().await.unwrap().forget();
        for _ in 0..self.slow {
            yield_now().await;
        }
        if trouble.is_some() { self.truth.outcome(trouble) } else { found }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn question(number: u128) -> Question {
    Question::Workspace(WorkspaceId::new(Uuid::from_u128(number)))
}

struct Scene {
    desk: Arc<Desk>,
    truth: Arc<Truth>,
    may_go_on: Arc<Semaphore>,
}

type Asking = JoinHandle<Result<Vec<Found>>>;

impl Scene {
    fn new(clerks: usize, most_asked: usize) -> Self {
        let (truth, may_go_on) = (Arc::new(Truth::default()), Arc::new(Semaphore::new(0)));
        let database = Database { truth: Arc::clone(&truth), may_go_on: Arc::clone(&may_go_on), slow: 0 };
        Self { desk: Desk::new(Box::new(database), clerks, most_asked), truth, may_go_on }
    }

    /// Asks, and answers when the questions are in the queue, or answered.
    async fn ask(&self, numbers: impl IntoIterator<Item = u128>) -> Asking {
        let before = self.desk.queue().next;
        let (desk, questions) = (Arc::clone(&self.desk), numbers.into_iter().map(question).collect());
        let asking = tokio::spawn(async move { desk.ask(questions).await });
        while self.desk.queue().next == before && !asking.is_finished() {
            yield_now().await;
        }
        asking
    }

    /// Asks, with all clerks busy from then on.
    async fn occupy(&self, number: u128, statements: usize) -> Asking {
        let asking = self.ask([number]).await;
        self.begun(statements).await;
        asking
    }

    async fn begun(&self, statements: usize) {
        self.truth.begun.subscribe().wait_for(|begun| *begun >= statements).await.unwrap();
    }

    fn go_on(&self, statements: usize) {
        self.may_go_on.add_permits(statements);
    }

    /// How many questions each statement so far was for.
    fn sizes(&self) -> Vec<usize> {
        lock(&self.truth.asked).iter().map(|inquiry| inquiry.workspaces.len()).collect()
    }

    fn waiting(&self) -> (usize, usize) {
        let queue = self.desk.queue();
        (queue.waiting.len(), queue.questions)
    }
}

fn reason(outcome: Result<Vec<Found>>) -> Reason {
    outcome.unwrap_err().reason()
}

#[tokio::test]
async fn questions_that_wait_together_are_answered_by_one_statement_and_each_once() {
    let scene = Scene::new(1, 256);
    lock(&scene.truth.there).extend([question(7), question(8)]);
    let first = scene.occupy(0, 1).await;
    let mut rest = Vec::new();
    for number in 1..50 {
        rest.push(scene.ask([number, 7]).await);
    }
    scene.go_on(2);
    assert!(!first.await.unwrap().unwrap()[0].is_something());
    for (number, asking) in (1..50).zip(rest) {
        let found: Vec<bool> = asking.await.unwrap().unwrap().iter().map(Found::is_something).collect();
        assert_eq!(found, [number == 7 || number == 8, true], "in the order asked");
    }
    assert_eq!(scene.sizes(), [1, 49]);
    let figures = scene.desk.figures();
    assert_eq!((figures.batch_size.count, figures.batch_size.sum), (2, 1 + 2 * 49));
    assert_eq!((figures.wait_micros.count, figures.query_micros.count, figures.failures), (50, 2, 0));
}

#[tokio::test]
async fn a_question_that_comes_while_a_statement_runs_waits_for_the_next() {
    let scene = Scene::new(1, 256);
    lock(&scene.truth.there).insert(question(1));
    let early = scene.occupy(1, 1).await;
    // It is gone, and whoever asks from now on hears so.
    lock(&scene.truth.there).remove(&question(1));
    let late = scene.ask([1]).await;
    scene.go_on(1);
    assert!(early.await.unwrap().unwrap()[0].is_something());
    scene.begun(2).await;
    scene.go_on(1);
    assert!(!late.await.unwrap().unwrap()[0].is_something());
}

#[tokio::test]
async fn as_many_statements_run_at_once_as_there_are_clerks_and_the_first_come_is_served_first() {
    let scene = Scene::new(2, 10);
    let busy = [scene.occupy(100, 1).await, scene.occupy(101, 2).await];
    let mut rest = Vec::new();
    for number in 0..25 {
        rest.push(scene.ask([number]).await);
    }
    assert_eq!(scene.sizes(), [1, 1]);
    scene.go_on(5);
    for asking in busy.into_iter().chain(rest) {
        asking.await.unwrap().unwrap();
    }
    assert_eq!(scene.sizes(), [1, 1, 10, 10, 5]);
    let order: Vec<Question> = lock(&scene.truth.asked)[2..]
        .iter()
        .flat_map(|inquiry| inquiry.workspaces.iter().map(|id| Question::Workspace(*id)))
        .collect();
    assert_eq!(order, (0..25).map(question).collect::<Vec<_>>());
}

#[tokio::test]
async fn questions_that_belong_together_are_never_split() {
    let scene = Scene::new(1, 10);
    let first = scene.occupy(0, 1).await;
    let small = scene.ask(1..6).await;
    let large = scene.ask(100..130).await;
    let next = scene.ask([6]).await;
    scene.go_on(4);
    for (asking, count) in [(first, 1), (small, 5), (large, 30), (next, 1)] {
        assert_eq!(asking.await.unwrap().unwrap().len(), count);
    }
    assert_eq!(scene.sizes(), [1, 5, 30, 1]);
}

#[tokio::test]
async fn a_question_whose_asker_has_gone_is_not_asked_and_leaves_nothing_behind() {
    let scene = Scene::new(1, 256);
    let first = scene.occupy(0, 1).await;
    let gone = scene.ask([1, 2]).await;
    let stays = scene.ask([3]).await;
    assert_eq!(scene.waiting(), (2, 3));
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert_eq!(scene.waiting(), (1, 1));
    scene.go_on(2);
    first.await.unwrap().unwrap();
    stays.await.unwrap().unwrap();
    assert_eq!(lock(&scene.truth.asked)[1].workspaces, [WorkspaceId::new(Uuid::from_u128(3))]);
    assert_eq!(scene.waiting(), (0, 0));
}

#[tokio::test]
async fn an_asker_that_goes_while_its_statement_runs_takes_nobody_along() {
    let scene = Scene::new(1, 256);
    let first = scene.occupy(0, 1).await;
    let gone = scene.ask([1]).await;
    let stays = scene.ask([2]).await;
    scene.go_on(1);
    first.await.unwrap().unwrap();
    scene.begun(2).await;
    gone.abort();
    scene.go_on(1);
    assert_eq!(stays.await.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn too_many_questions_are_refused_at_once_and_the_rest_is_answered() {
    let scene = Scene::new(1, MOST_WAITING);
    let first = scene.occupy(0, 1).await;
    let many = scene.ask(1..=MOST_WAITING as u128).await;
    let error = scene.desk.ask(vec![question(1)]).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Overloaded);
    assert_eq!(scene.desk.figures().refused, 1);
    scene.go_on(3);
    first.await.unwrap().unwrap();
    assert_eq!(many.await.unwrap().unwrap().len(), MOST_WAITING);
    assert_eq!(scene.desk.ask(vec![question(1)]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_statement_that_fails_fails_its_own_askers_with_an_error_and_nobody_else() {
    let scene = Scene::new(1, 2);
    lock(&scene.truth.trouble).push(Trouble::Error(Reason::DatabaseUnavailable));
    let first = scene.occupy(0, 1).await;
    let rest = [scene.ask([1]).await, scene.ask([2]).await];
    scene.go_on(2);
    let error = first.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Reason::DatabaseUnavailable);
    assert_eq!(error.cause().unwrap().to_string(), "on purpose");
    for asking in rest {
        assert_eq!(asking.await.unwrap().unwrap().len(), 1);
    }
    assert_eq!(scene.sizes(), [1, 2]);
    assert_eq!(scene.desk.figures().failures, 1);
}

#[tokio::test]
async fn a_statement_that_lost_against_a_change_is_sent_again_and_fails_in_the_end() {
    let scene = Scene::new(1, 2);
    scene.go_on(TRIES as usize * 2);
    lock(&scene.truth.trouble).extend((1..TRIES).map(|_| Trouble::Error(Reason::Conflict)));
    assert_eq!(scene.desk.ask(vec![question(1)]).await.unwrap().len(), 1);
    lock(&scene.truth.trouble).extend((0..TRIES).map(|_| Trouble::Error(Reason::Conflict)));
    assert_eq!(reason(scene.desk.ask(vec![question(1)]).await), Reason::Conflict);
}

#[tokio::test]
async fn a_clerk_that_dies_leaves_its_askers_an_error_and_the_rest_to_another() {
    let scene = Scene::new(1, 2);
    lock(&scene.truth.trouble).push(Trouble::Panic);
    let first = scene.occupy(0, 1).await;
    let rest = [scene.ask([1]).await, scene.ask([2]).await];
    scene.go_on(2);
    assert_eq!(reason(first.await.unwrap()), Reason::Internal);
    for asking in rest {
        assert_eq!(asking.await.unwrap().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn without_a_connection_all_who_wait_hear_so_at_once() {
    let scene = Scene::new(1, 2);
    scene.truth.away.store(true, Ordering::SeqCst);
    let mut asking = Vec::new();
    for number in 0..9 {
        asking.push(scene.ask([number]).await);
    }
    scene.go_on(1);
    for asked in asking {
        let answer = timeout(10 * STAY, asked).await.expect("it waits for another try").unwrap();
        assert_eq!(answer.unwrap_err().reason(), Reason::DatabaseUnavailable);
    }
}

#[tokio::test]
async fn a_closed_desk_refuses_and_holds_no_connection() {
    let scene = Scene::new(2, 2);
    let busy = [scene.occupy(0, 1).await, scene.occupy(1, 2).await];
    let waits = scene.ask([2]).await;
    scene.desk.close().await;
    assert_eq!(reason(scene.desk.ask(vec![question(3)]).await), Reason::DatabaseUnavailable);
    scene.go_on(3);
    for asking in busy.into_iter().chain([waits]) {
        asking.await.unwrap().unwrap();
    }
    while scene.truth.connections.load(Ordering::SeqCst) > 0 {
        yield_now().await;
    }
}

/// Takes things away at random moments while everybody asks about them. Whoever asks after something is gone must hear so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_hears_of_what_was_gone_before_they_asked_whatever_the_schedule() {
    const THINGS: u128 = 2_000;
    let (truth, may_go_on) = (Arc::new(Truth::default()), Arc::new(Semaphore::new(Semaphore::MAX_PERMITS / 2)));
    let database = Database { truth: Arc::clone(&truth), may_go_on, slow: 7 };
    let desk = Desk::new(Box::new(database), 2, 16);
    lock(&truth.there).extend((0..THINGS).map(question));
    let mut others = JoinSet::new();
    for asker in 0..8_u128 {
        let desk = Arc::clone(&desk);
        others.spawn(async move {
            for round in 0..THINGS {
                desk.ask(vec![question((asker * 251 + round * 31) % THINGS)]).await.unwrap();
            }
        });
    }
    let mut stale = 0;
    for number in 0..THINGS {
        lock(&truth.there).remove(&question(number));
        for _ in 0..number % 5 {
            yield_now().await;
        }
        stale += usize::from(desk.ask(vec![question(number)]).await.unwrap()[0].is_something());
    }
    others.join_all().await;
    assert_eq!(stale, 0);
}
