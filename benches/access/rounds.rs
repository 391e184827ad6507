//! Rounds of a measurement, and those among them in which the machine had its cores.

use crate::Result;
use crate::report::spread;
use crate::usage::Host;

/// Percent of the cores that the host may take in a round. Idle, and under load in calm times, it was 0 to 4.
const CALM: f64 = 5.0;
/// So many times as many rounds as are wanted are made at the most.
const MOST: usize = 2;

/// The calmest rounds, and what the host took in them.
pub struct Calmest<T> {
    pub rounds: Vec<T>,
    taken: Vec<f64>,
    left_out: usize,
}

impl<T> Calmest<T> {
    /// Makes rounds until as many were calm as are wanted, or twice as many are made, and keeps the calmest. What they gave
    /// has no say in it.
    pub async fn of(wanted: usize, mut round: impl AsyncFnMut(usize) -> Result<T>) -> Result<Self> {
        let mut all = Vec::new();
        let (mut calm, most) = (0, wanted * MOST);
        while calm < wanted && all.len() < most {
            let host = Host::now()?;
            let seen = round(all.len()).await?;
            let taken = host.took()?;
            calm += usize::from(taken <= CALM);
            all.push((taken, seen));
        }
        all.sort_by(|one, other| one.0.total_cmp(&other.0));
        let left_out = all.len() - wanted;
        all.truncate(wanted);
        let (taken, rounds) = all.into_iter().unzip();
        Ok(Self { rounds, taken, left_out })
    }

    /// What one value was in each round.
    pub fn each(&self, value: impl Fn(&T) -> f64) -> Vec<f64> {
        self.rounds.iter().map(value).collect()
    }

    /// Percent of the cores that the host took.
    pub fn taken(&self) -> String {
        spread(self.taken.clone(), 0)
    }

    pub fn left_out(&self) -> usize {
        self.left_out
    }
}
