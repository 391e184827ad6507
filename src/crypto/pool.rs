//! Threads for work that is expensive by design.
//!
//! They have a lower priority than everything else, so that whoever needs a core for a moment has it at once, however
//! many passwords wait. What runs holds its thread until it is done, also when nobody waits for it any more: as many run
//! at once as there are threads, and no more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::random_fraction;
use crate::error::{Error, Reason, Result};

/// As setpriority(2) counts: 0 is the others' and 19 the lowest. At 10 a thread that always wants a core gets a tenth of it
/// while others want it too.
const NICE: i32 = 10;

/// How long work takes as long as none was measured: about a hash at the default costs.
const FIRST_GUESS: Duration = Duration::from_millis(20);
/// The mean of how long work takes is that of about so many.
const REMEMBERED: u32 = 16;
/// What anybody is told to stay away at the least, also when the last work was quickly done; and at the most: whoever comes
/// back again and again without waiting makes the line longer for others.
const ABSENCE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(3));

type Job = Box<dyn FnOnce() + Send>;

/// A few threads, and a bounded number of places: for what runs, what waits, and what is only reserved.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
    line: Arc<Mutex<Line>>,
}

/// Those who were refused, as if they stood in line: each is told to come back when it is likely to be their turn. If all
/// came back within the same second, most would be refused again, and to refuse takes work too.
#[derive(Debug)]
struct Line {
    threads: u32,
    places: u32,
    /// The mean time that work took.
    work: Duration,
    /// When the last one is to come back.
    end: Instant,
}

impl Line {
    fn new(threads: usize, places: usize, now: Instant) -> Self {
        let count = |number| u32::try_from(number).unwrap_or(u32::MAX).max(1);
        Self { threads: count(threads), places: count(places), work: FIRST_GUESS, end: now }
    }

    fn note(&mut self, took: Duration) {
        self.work = (self.work * (REMEMBERED - 1) + took) / REMEMBERED;
    }

    /// Puts one more at the end. Answers how long they wait: until half of all places have been used once more, at the
    /// least.
    fn join(&mut self, now: Instant) -> Duration {
        let (least, most) = ABSENCE;
        let pace = self.work / self.threads;
        let soonest = (pace * (self.places / 2)).clamp(least, most);
        self.end = (self.end + pace).clamp(now + soonest, now + most);
        self.end.saturating_duration_since(now)
    }
}

/// A place in the pool. It is given back when its work is done and whoever reserved it has dropped it.
#[derive(Debug)]
pub struct Place(Arc<OwnedSemaphorePermit>);

impl Pool {
    /// # Errors
    /// If the operating system gives no threads.
    pub(super) fn new(threads: usize, places: usize) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            let thread = std::thread::Builder::new().name("hashing".to_owned());
            thread.spawn(move || work(&waiting)).map_err(Error::internal)?;
        }
        let line = Line::new(threads, places, Instant::now());
        Ok(Self { jobs, places: Arc::new(Semaphore::new(places)), line: Arc::new(Mutex::new(line)) })
    }

    /// A place for work that is to come.
    ///
    /// # Errors
    /// `OVERLOADED` when there is none, with the time when there is likely to be one.
    pub(super) fn reserve(&self) -> Result<Place> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place(Arc::new(permit))),
            Err(_) => {
                let absence = self.line.lock().unwrap_or_else(PoisonError::into_inner).join(Instant::now());
                // Where the line is at its longest all would be told the same.
                let spread = absence.mul_f64(0.75 + random_fraction() / 4.0);
                Err(Error::new(Reason::Overloaded).retry_after(spread.max(ABSENCE.0)))
            }
        }
    }

    /// Has work done when it is its turn. If nobody waits for it by then, it is not begun.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        place: &Place,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        // Kept by the work too: what runs goes on when its caller has gone.
        let (place, line) = (Arc::clone(&place.0), Arc::clone(&self.line));
        let job = move || {
            if !answer.is_closed() {
                let begin = Instant::now();
                let outcome = work();
                line.lock().unwrap_or_else(PoisonError::into_inner).note(begin.elapsed());
                drop(place);
                let _ = answer.send(outcome);
            }
        };
        self.jobs.send(Box::new(job)).map_err(|_| Error::internal("the threads for passwords have ended"))?;
        answered.await.unwrap_or_else(|_| Err(Error::internal("a panic of work on a password")))
    }
}

/// Does one job after the other, until the pool is no more.
fn work(waiting: &Mutex<Receiver<Job>>) {
    lower_priority();
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else {
            return;
        };
        // Nothing of a job is looked at after its panic, and the next one needs its thread.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// Of this thread, where the system can tell threads apart.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::warn!(%error, "passwords are hashed at the priority of everything else");
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    #[derive(Clone, Default)]
    struct Diary(Arc<Mutex<Vec<String>>>);

    impl Diary {
        fn note(&self, what: impl Into<String>) {
            self.0.lock().unwrap().push(what.into());
        }

        fn notes(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    #[tokio::test]
    async fn what_runs_keeps_its_thread_when_its_caller_has_gone_and_what_waits_is_not_begun() {
        let pool = Pool::new(1, 3).unwrap();
        let diary = Diary::default();
        let (go_on, told) = mpsc::channel::<()>();
        let place = pool.reserve().unwrap();
        let (runs, begins, noted) = (pool.clone(), diary.clone(), diary.clone());
        let running = tokio::spawn(async move {
            let work = move || {
                begins.note("first begins");
                told.recv().unwrap();
                noted.note("first ends");
                Ok(())
            };
            runs.run(&place, work).await
        });
        while diary.notes().is_empty() {
            yield_now().await;
        }
        let mut waiting = Vec::new();
        for name in ["second", "third"] {
            let (runs, notes, place) = (pool.clone(), diary.clone(), pool.reserve().unwrap());
            waiting.push(tokio::spawn(async move {
                let work = move || {
                    notes.note(name);
                    Ok(())
                };
                runs.run(&place, work).await
            }));
            yield_now().await;
        }
        // The first keeps its place too.
        running.abort();
        waiting[0].abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert_eq!(pool.reserve().unwrap_err().reason(), Reason::Overloaded);
        go_on.send(()).unwrap();
        waiting.pop().unwrap().await.unwrap().unwrap();
        assert_eq!(diary.notes(), ["first begins", "first ends", "third"]);
        while pool.places.available_permits() < 3 {
            yield_now().await;
        }
    }

    #[test]
    fn who_is_refused_is_told_to_come_back_at_the_pace_of_the_work() {
        let now = Instant::now();
        let mut line = Line::new(2, 40, now);
        let millis = |time: Duration| time.as_millis();
        // 20 ms a hash and two at once: 200 ms for half of the places, and one more each 10 ms.
        assert_eq!([(); 4].map(|()| millis(line.join(now))), [200, 210, 220, 230]);
        let later = now + Duration::from_millis(100);
        assert_eq!(millis(line.join(later)), 200);
        assert_eq!(millis(line.join(later)), 210);
        // Slower work, a slower pace; and nobody is sent away for ever.
        (0..400).for_each(|_| line.note(Duration::from_millis(100)));
        assert_eq!(millis(line.join(later)), 999);
        let longest = (0..1_000).map(|_| line.join(later)).max();
        assert_eq!(longest, Some(ABSENCE.1));
        assert_eq!(millis(line.join(later + 2 * ABSENCE.1)), 999);
        (0..400).for_each(|_| line.note(Duration::ZERO));
        assert_eq!(line.join(later + 4 * ABSENCE.1), ABSENCE.0);
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_work_and_no_thread_and_no_place() {
        let pool = Pool::new(1, 1).unwrap();
        for _ in 0..3 {
            let place = pool.reserve().unwrap();
            let error = pool.run::<()>(&place, || panic!("on purpose")).await.unwrap_err();
            assert_eq!(error.reason(), Reason::Internal);
            drop(place);
            while pool.places.available_permits() == 0 {
                yield_now().await;
            }
        }
        assert_eq!(pool.run(&pool.reserve().unwrap(), || Ok(7)).await.unwrap(), 7);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn its_threads_have_a_lower_priority_than_all_others() {
        let pool = Pool::new(2, 2).unwrap();
        let read = || {
            let thread = std::fs::read_link("/proc/thread-self").map_err(Error::internal)?;
            std::fs::read_to_string(format!("/proc/{}/stat", thread.display())).map_err(Error::internal)
        };
        let stat = pool.run(&pool.reserve().unwrap(), read).await.unwrap();
        // After the name, which stands in parentheses, the 17th field is the nice value (proc(5), field 19).
        let nice = |stat: &str| stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().to_owned();
        assert_eq!(nice(&stat), NICE.to_string());
        assert_eq!(nice(&read().unwrap()), "0");
    }
}
