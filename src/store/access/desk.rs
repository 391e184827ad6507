//! Questions that wait together are answered together.
//!
//! A few clerks answer: each has a connection, takes what waits, sends one statement for it, hands out the answers, and
//! takes what has come in meanwhile. Who asks alone of a database that can be read on the spot looks there without them.
//! What must stay true:
//!
//! - **Taken before sent.** A question that arrives while a statement runs waits for the next one. One that joined late
//!   would get an answer from before it was asked.
//! - **Who looks looks after they came**, on a connection in no transaction, and awaits nothing: there is no moment at
//!   which they could go away with a connection in hand.
//! - **First come, first served**, and a bounded number waits. What is too much is refused at once.
//! - **No timer delays anybody**: a clerk without work takes up the first question that comes. It lets what else is ready
//!   to run go first, which is what makes batches of calls that came in together, unless the question came alone and so did
//!   the last.
//! - An asker that goes away takes its questions along. A statement that fails fails its own askers, and never as an answer.
//! - A clerk that dies leaves its askers an error, and the rest to another clerk.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span};

use crate::error::{Error, Reason, Result};

use super::figures::Counters;
use super::inquiry::{Findings, Inquiry, Line, Source};
use super::{AccessFigures, Found, Question};

/// Questions that may wait.
const MOST_WAITING: usize = 65_536;
/// How long a clerk without work stays, and how long any keeps a connection: the pool looks at what comes back.
const STAY: Duration = Duration::from_secs(1);
/// Whoever comes so soon after another, or after a question of their own, goes to a clerk, with those who come along. Where
/// there are many, a transaction of its own for each costs more than the way to the clerk and back: see
/// `docs/performance.md`.
const COMPANY: Duration = Duration::from_micros(100);
/// How often a statement is sent again that lost against a concurrent change, which none but a serializable one can.
const TRIES: u32 = 3;

/// Where questions are asked.
pub(in crate::store) struct Desk {
    queue: Mutex<Queue>,
    source: Box<dyn Source>,
    clerks: usize,
    /// Questions of one statement at the most, unless those of a single asker are more.
    most_asked: usize,
    counters: Counters,
}

#[derive(Default)]
struct Queue {
    /// By number, in the order of arrival.
    waiting: BTreeMap<u64, Entry>,
    next: u64,
    /// Questions in `waiting`.
    questions: usize,
    last_arrival: Option<Instant>,
    /// Whether the last one came alone.
    alone: bool,
    clerks: usize,
    /// Clerks that will take what waits without being told.
    gathering: usize,
    /// Clerks that wait to be told.
    idle: Vec<(u64, oneshot::Sender<()>)>,
    closed: bool,
}

/// Questions that belong together, and who wants to know.
struct Entry {
    questions: Vec<Question>,
    arrival: Instant,
    /// The statement belongs to the work of whoever asked first.
    span: Span,
    answer: oneshot::Sender<Result<Vec<Found>>>,
}

impl Desk {
    /// A desk with at most this many clerks, which is how many statements are in flight at once.
    pub(in crate::store) fn new(source: Box<dyn Source>, clerks: usize, most_asked: usize) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), source, clerks, most_asked, counters: Counters::default() })
    }

    /// Answers questions in their order, all by the same statement.
    pub(super) async fn ask(self: &Arc<Self>, questions: Vec<Question>) -> Result<Vec<Found>> {
        let arrival = Instant::now();
        if self.comes_alone(arrival)
            && let Some(outcome) = self.look(&questions)
        {
            return outcome;
        }
        let (answer, answered) = oneshot::channel();
        let entry = Entry { questions, arrival, span: Span::current(), answer };
        let mut place = self.enter(entry)?;
        let outcome = answered.await;
        place.taken = true;
        outcome.unwrap_or_else(|_| Err(Error::internal("whoever was to answer about access died")))
    }

    pub(super) fn figures(&self) -> AccessFigures {
        self.counters.read()
    }

    /// Refuses what comes from now on, and closes connections once nobody reads any more. What still waits may be refused.
    pub(in crate::store) async fn close(&self) {
        {
            let mut queue = self.queue();
            queue.closed = true;
            // Who waits for a word of these hears that there will be none.
            queue.idle.clear();
        }
        self.source.close().await;
    }

    /// Notes that somebody comes. Answers whether nobody waits and nobody has just come.
    fn comes_alone(&self, arrival: Instant) -> bool {
        let mut queue = self.queue();
        let last = queue.last_arrival.replace(arrival);
        let calm = last.is_none_or(|last| arrival.saturating_duration_since(last) >= COMPANY);
        queue.alone = calm && queue.waiting.is_empty();
        queue.alone && !queue.closed
    }

    /// Has the asker itself look, where the source lets it. Nothing is awaited, so what was begun is ended.
    fn look(&self, questions: &[Question]) -> Option<Result<Vec<Found>>> {
        let start = Instant::now();
        let outcome = self.source.on_the_spot(questions)?;
        self.counters.batch_size.add(questions.len() as u64);
        self.counters.wait.add_time(Duration::ZERO);
        self.counters.query.add_time(start.elapsed());
        if outcome.is_err() {
            self.counters.fail();
        }
        Some(outcome.map(|findings| sought(questions, &findings)))
    }

    fn enter(self: &Arc<Self>, entry: Entry) -> Result<Place<'_>> {
        let mut queue = self.queue();
        if queue.closed {
            return Err(Error::new(Reason::DatabaseUnavailable).retry_after(STAY));
        }
        if queue.questions + entry.questions.len() > MOST_WAITING {
            self.counters.refuse();
            return Err(Reason::Overloaded.into());
        }
        let number = queue.next;
        queue.next += 1;
        queue.questions += entry.questions.len();
        queue.waiting.insert(number, entry);
        self.call_clerk(&mut queue);
        Ok(Place { desk: self, number, taken: false })
    }

    /// Sees to it that somebody takes what waits, if anybody is free.
    fn call_clerk(self: &Arc<Self>, queue: &mut Queue) {
        if queue.gathering > 0 {
            return;
        }
        while let Some((_, clerk)) = queue.idle.pop() {
            if clerk.send(()).is_ok() {
                queue.gathering += 1;
                return;
            }
        }
        if queue.clerks < self.clerks {
            queue.clerks += 1;
            queue.gathering += 1;
            let desk = Arc::clone(self);
            tokio::spawn(async move {
                let work = Clerk::new(Arc::clone(&desk)).work();
                if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                    let mut queue = desk.queue();
                    if !queue.waiting.is_empty() {
                        desk.call_clerk(&mut queue);
                    }
                }
            });
        }
    }

    /// Sends one statement for a batch.
    async fn send(&self, line: &mut dyn Line, batch: &[Entry]) -> Result<Findings> {
        let span = batch.first().map_or_else(Span::none, |entry| entry.span.clone());
        let inquiry = Inquiry::of(batch.iter().flat_map(|entry| &entry.questions));
        let start = Instant::now();
        let mut outcome = line.ask(&inquiry).instrument(span.clone()).await;
        for _ in 1..TRIES {
            if !outcome.as_ref().is_err_and(|error| error.reason() == Reason::Conflict) {
                break;
            }
            outcome = line.ask(&inquiry).instrument(span.clone()).await;
        }
        self.counters.query.add_time(start.elapsed());
        outcome
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An asker's place in the queue, which it gives up when it goes away.
struct Place<'a> {
    desk: &'a Desk,
    number: u64,
    taken: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.taken {
            let mut queue = self.desk.queue();
            if let Some(entry) = queue.waiting.remove(&self.number) {
                queue.questions -= entry.questions.len();
            }
        }
    }
}

/// One that answers.
struct Clerk {
    desk: Arc<Desk>,
    gathering: bool,
    /// Its last batch was one asker's.
    one: bool,
    /// A connection, and since when.
    line: Option<(Box<dyn Line>, Instant)>,
}

impl Clerk {
    /// A clerk that counts as gathering already.
    fn new(desk: Arc<Desk>) -> Self {
        Self { desk, gathering: true, one: false, line: None }
    }

    async fn work(mut self) {
        while self.wait().await {
            let line = self.line().await;
            // Whoever is known to be alone waits for nobody.
            if !(self.one && self.desk.queue().alone) {
                tokio::task::yield_now().await;
            }
            // Where there is no connection nobody who waits now is any better off for waiting longer.
            let most = if line.is_ok() { self.desk.most_asked } else { usize::MAX };
            let batch = self.take(most);
            if batch.is_empty() {
                self.gather();
                continue;
            }
            self.one = batch.len() == 1;
            let outcome = match line {
                Ok((mut line, since)) => {
                    let outcome = self.desk.send(&mut *line, &batch).await;
                    // The pool looks at one that failed before anybody gets it again.
                    self.line = outcome.is_ok().then_some((line, since));
                    outcome
                }
                Err(error) => Err(error),
            };
            // Who comes in while the answers are handed out is in the next batch.
            self.gather();
            answer(batch, outcome, &self.desk.counters);
        }
    }

    /// Waits until somebody waits. Answers whether to go on.
    async fn wait(&mut self) -> bool {
        let (told, mut word) = oneshot::channel();
        let id = {
            let mut queue = self.desk.queue();
            if !queue.waiting.is_empty() {
                return true;
            }
            if queue.closed {
                return false;
            }
            queue.gathering -= 1;
            self.gathering = false;
            let id = queue.next;
            queue.next += 1;
            queue.idle.push((id, told));
            id
        };
        // It can be told until it has the lock again.
        let told = timeout(STAY, &mut word).await;
        let mut queue = self.desk.queue();
        let unknown = queue.idle.iter().all(|(other, _)| *other != id);
        queue.idle.retain(|(other, _)| *other != id);
        self.gathering = matches!(told, Ok(Ok(()))) || (told.is_err() && unknown && !queue.closed);
        self.gathering
    }

    /// A connection, the one that is held if it was not held for too long.
    async fn line(&mut self) -> Result<(Box<dyn Line>, Instant)> {
        match self.line.take() {
            Some((line, since)) if since.elapsed() < STAY => Ok((line, since)),
            stale => {
                drop(stale);
                Ok((self.desk.source.connect().await?, Instant::now()))
            }
        }
    }

    /// Takes what waits, in the order of arrival.
    fn take(&mut self, most: usize) -> Vec<Entry> {
        let mut queue = self.desk.queue();
        let mut batch: Vec<Entry> = Vec::with_capacity(queue.waiting.len().min(most));
        let mut count = 0;
        while let Some(entry) = queue.waiting.first_entry() {
            let questions = entry.get().questions.len();
            if count > 0 && count + questions > most {
                break;
            }
            count += questions;
            batch.push(entry.remove());
        }
        queue.questions -= count;
        queue.gathering -= 1;
        self.gathering = false;
        if !queue.waiting.is_empty() {
            self.desk.call_clerk(&mut queue);
        }
        drop(queue);
        let counters = &self.desk.counters;
        counters.batch_size.add(count as u64);
        for entry in &batch {
            counters.wait.add_time(entry.arrival.elapsed());
        }
        batch
    }

    fn gather(&mut self) {
        self.desk.queue().gathering += 1;
        self.gathering = true;
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        let mut queue = self.desk.queue();
        queue.clerks -= 1;
        if self.gathering {
            queue.gathering -= 1;
        }
    }
}

fn answer(batch: Vec<Entry>, outcome: Result<Findings>, counters: &Counters) {
    match outcome {
        Ok(findings) => {
            for entry in batch {
                let _ = entry.answer.send(Ok(sought(&entry.questions, &findings)));
            }
        }
        Err(error) => {
            counters.fail();
            for entry in batch {
                let _ = entry.answer.send(Err(error.for_another()));
            }
        }
    }
}

/// What was found of what was asked, in the order asked.
fn sought(questions: &[Question], findings: &Findings) -> Vec<Found> {
    questions.iter().map(|question| findings.get(question).cloned().unwrap_or(Found::Nothing)).collect()
}

#[cfg(test)]
mod tests;
