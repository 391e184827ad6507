//! How the clients of one address behave, over all their connections.
//!
//! A request that is refused for its form costs the server as much as a good one, and a client that sends nothing else
//! gains nothing by it. Closing its connection would not help, since it makes another. So an address has credit for a
//! burst of such requests, which good ones, and time, fill up again; while it has overdrawn, little is read from its
//! connections. Nothing is refused by this and nothing is lost: what is sent waits, in the end with the sender.
//!
//! Others may have the same address. So each connection is read now and then whatever the rest do, and what is held
//! against an address is never more than [`LONGEST`] makes good. What it can have answered is bounded by that, its
//! connections, and the calls that each may have at once.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What comes back a second.
const BACK_PER_SECOND: u32 = 100;
/// What a connection costs that had to be closed for what its client did on it.
pub const CLOSED: u32 = 100;
/// Seconds that nothing is read from a connection at most, whatever its address has done.
const LONGEST: u32 = 10;
/// Credit with which reading goes on: less would only wake everybody for a request or two.
const ENOUGH: i64 = 10;
/// How often the log says it of one address.
const TELL: Duration = Duration::from_secs(60);

/// The credit of an address.
pub struct Conduct {
    address: IpAddr,
    most: i64,
    /// What `account` says, to be read without waiting.
    credit: AtomicI64,
    account: Mutex<Account>,
}

struct Account {
    credit: i64,
    /// When time last gave something back.
    filled: Instant,
    told: Option<Instant>,
}

impl Conduct {
    pub fn new(address: IpAddr, most: u32, now: Instant) -> Self {
        let most = i64::from(most);
        let account = Account { credit: most, filled: now, told: None };
        Self { address, most, credit: AtomicI64::new(most), account: Mutex::new(account) }
    }

    /// A request was refused for its form, or as many as this.
    pub fn blame(&self, times: u32, now: Instant) {
        if times == 0 {
            return;
        }
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        self.change(&mut account, -i64::from(times), now);
        if account.credit <= 0 && account.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL) {
            account.told = Some(now);
            let address = self.address;
            tracing::warn!(%address, "too much of what comes from there is malformed; it is read more slowly");
        }
    }

    /// A request was answered.
    pub fn praise(&self, now: Instant) {
        if self.is_spotless() {
            return;
        }
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        self.change(&mut account, 1, now);
    }

    /// How long nothing should be read from a connection; at most [`LONGEST`] seconds.
    pub fn pause(&self, now: Instant) -> Option<Duration> {
        if self.credit.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        self.change(&mut account, 0, now);
        let missing = u32::try_from(ENOUGH.min(self.most) - account.credit).unwrap_or(0);
        (account.credit <= 0).then(|| Duration::from_secs(1) * missing / BACK_PER_SECOND)
    }

    /// Whether nothing is held against it, so that it need not be remembered.
    pub fn is_forgiven(&self, now: Instant) -> bool {
        if !self.is_spotless() {
            let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
            self.change(&mut account, 0, now);
        }
        self.is_spotless()
    }

    fn is_spotless(&self) -> bool {
        self.credit.load(Ordering::Relaxed) == self.most
    }

    fn change(&self, account: &mut Account, by: i64, now: Instant) {
        let elapsed = now.saturating_duration_since(account.filled).as_millis();
        let back = i64::try_from(elapsed * u128::from(BACK_PER_SECOND) / 1000).unwrap_or(i64::MAX);
        // A part of one that has come back is not lost.
        account.filled += Duration::from_secs(1) * u32::try_from(back).unwrap_or(u32::MAX) / BACK_PER_SECOND;
        let least = ENOUGH - i64::from(BACK_PER_SECOND * LONGEST);
        account.credit = account.credit.saturating_add(back).min(self.most).saturating_add(by).clamp(least, self.most);
        self.credit.store(account.credit, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conduct(most: u32) -> (Conduct, Instant) {
        let now = Instant::now();
        (Conduct::new(IpAddr::from([192, 0, 2, 1]), most, now), now)
    }

    #[test]
    fn who_has_overdrawn_waits_until_time_has_given_enough_back() {
        let (conduct, now) = conduct(50);
        conduct.blame(49, now);
        assert_eq!(conduct.pause(now), None);
        conduct.blame(1, now);
        assert_eq!(conduct.pause(now), Some(Duration::from_millis(100)));
        assert_eq!(conduct.pause(now + Duration::from_millis(4)), Some(Duration::from_millis(100)));
        assert_eq!(conduct.pause(now + Duration::from_millis(100)), None);
        conduct.blame(60, now + Duration::from_millis(100));
        assert_eq!(conduct.pause(now + Duration::from_millis(100)), Some(Duration::from_millis(600)));
        assert!(!conduct.is_forgiven(now + Duration::from_millis(1_099)));
        assert!(conduct.is_forgiven(now + Duration::from_millis(1_100)));
        assert_eq!(conduct.pause(now + Duration::from_millis(1_100)), None);
    }

    #[test]
    fn nobody_waits_for_longer_than_ten_seconds() {
        let (conduct, now) = conduct(1_000);
        conduct.blame(u32::MAX, now);
        conduct.blame(u32::MAX, now);
        assert_eq!(conduct.pause(now), Some(Duration::from_secs(10)));
        assert_eq!(conduct.pause(now + Duration::from_secs(10)), None);
    }

    #[test]
    fn good_requests_pay_for_bad_ones_without_end() {
        let (conduct, now) = conduct(20);
        for _ in 0..10_000 {
            conduct.blame(1, now);
            conduct.praise(now);
        }
        assert!(conduct.is_forgiven(now));
        conduct.praise(now);
        conduct.blame(20, now);
        assert_eq!(conduct.pause(now), Some(Duration::from_millis(100)), "what is earned beyond the most is lost");
    }

    #[test]
    fn a_credit_of_less_than_enough_is_enough() {
        let (conduct, now) = conduct(1);
        conduct.blame(1, now);
        assert_eq!(conduct.pause(now), Some(Duration::from_millis(10)));
        assert_eq!(conduct.pause(now + Duration::from_millis(10)), None);
    }
}
