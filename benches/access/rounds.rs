//! Rounds of a measurement, and those of them in which the machine's host took less of its cores.

use crate::Result;
use crate::report::spread;
use crate::usage::Host;

/// Percent of the cores that the host may take before a round is made once more.
const CALM: f64 = 5.0;

/// The rounds that are kept, and what the host took in each as a whole.
pub struct Calmest<T> {
    pub rounds: Vec<T>,
    taken: Vec<f64>,
    left_out: usize,
}

impl<T> Calmest<T> {
    /// Makes as many rounds as are wanted, each by its number. One that was not calm is made once more, and the calmer of
    /// the two is kept. What they measured is not looked at; but what the host takes depends on the load too, and of calls
    /// that are alone some of it is what cores wait for that were asleep.
    pub async fn of(wanted: usize, mut round: impl AsyncFnMut(usize) -> Result<T>) -> Result<Self> {
        let mut kept = Self { rounds: Vec::new(), taken: Vec::new(), left_out: 0 };
        for number in 0..wanted {
            let (mut taken, mut seen) = timed(&mut round, number).await?;
            if taken > CALM {
                let again = timed(&mut round, number).await?;
                kept.left_out += 1;
                if again.0 < taken {
                    (taken, seen) = again;
                }
            }
            kept.taken.push(taken);
            kept.rounds.push(seen);
        }
        Ok(kept)
    }

    /// What one value was in each round.
    pub fn each(&self, value: impl Fn(&T) -> f64) -> Vec<f64> {
        self.rounds.iter().map(value).collect()
    }

    /// Percent of the cores that the host took.
    pub fn taken(&self) -> String {
        spread(self.taken.clone(), 1)
    }

    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

async fn timed<T>(round: &mut impl AsyncFnMut(usize) -> Result<T>, number: usize) -> Result<(f64, T)> {
    let host = Host::now()?;
    let seen = round(number).await?;
    Ok((host.took()?, seen))
}
