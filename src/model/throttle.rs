//! How guessing is slowed. Pure: counters, and what one more attempt does to them.
//!
//! An attempt is counted before its password is looked at, so that attempts side by side cannot slip through, and
//! uncounted when it turns out right. Nobody can be locked out by it: a device that has signed in before has a counter
//! of its own and is looked at by no other, and a reset by mail is not a guess.

use std::net::IpAddr;
use std::time::Duration;

use crate::clock::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
/// Attempts on an address whose outcome is unknown or bad before the next has to wait.
const FREE_ATTEMPTS: i32 = 3;
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(15 * 60);
/// When an address without further attempts is forgotten. Longer than the longest delay.
const ADDRESS_MEMORY: Duration = Duration::from_secs(60 * 60);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThrottleKind {
    /// Failures for an address from one network: 10 in 15 minutes.
    AddressAndNetwork,
    /// Failures from one network: 100 in an hour. One's own success does not clear it.
    Network,
    /// Failures for an address from everywhere: each next one has to wait twice as long, from a second to 15 minutes.
    Address,
    /// Failures on one known device: 10 in 15 minutes.
    Device,
    /// Password resets that one network asks for, whoever they are for: 100 in an hour. They are no guesses, and keep
    /// nobody from guessing.
    Resets,
}

/// A counter as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleCounter {
    pub count: i32,
    /// Since when it counts.
    pub window_start: Timestamp,
    /// No attempt before then.
    pub blocked_until: Timestamp,
    /// From then on it is as if it had never been.
    pub expire_time: Timestamp,
}

impl ThrottleKind {
    /// The number that stands for the kind in the database.
    pub const fn number(self) -> i16 {
        match self {
            ThrottleKind::AddressAndNetwork => 1,
            ThrottleKind::Network => 2,
            ThrottleKind::Address => 3,
            ThrottleKind::Device => 4,
            ThrottleKind::Resets => 5,
        }
    }

    /// The counter after one more attempt at `now`, or how long to wait for one.
    pub fn attempt(self, before: Option<ThrottleCounter>, now: Timestamp) -> Result<ThrottleCounter, Duration> {
        let before = before.filter(|counter| now < counter.expire_time);
        let (most, window) = match self {
            ThrottleKind::AddressAndNetwork | ThrottleKind::Device => (10, 15 * MINUTE),
            ThrottleKind::Network | ThrottleKind::Resets => (100, 60 * MINUTE),
            ThrottleKind::Address => return attempt_on_address(before, now),
        };
        let start = before.map_or(now, |counter| counter.window_start);
        let count = before.map_or(0, |counter| counter.count);
        let end = start.plus(window);
        if count >= most {
            return Err(end.since(now));
        }
        Ok(ThrottleCounter { count: count + 1, window_start: start, blocked_until: now, expire_time: end })
    }
}

fn attempt_on_address(before: Option<ThrottleCounter>, now: Timestamp) -> Result<ThrottleCounter, Duration> {
    if let Some(counter) = before
        && now < counter.blocked_until
    {
        return Err(counter.blocked_until.since(now));
    }
    let count = before.map_or(0, |counter| counter.count).saturating_add(1);
    Ok(ThrottleCounter {
        count,
        window_start: before.map_or(now, |counter| counter.window_start),
        // Where nobody waits, not now either: of two at once, the one that came first may be counted last.
        blocked_until: delay_after(count).map_or(Timestamp::from_micros(0), |delay| now.plus(delay)),
        expire_time: now.plus(ADDRESS_MEMORY),
    })
}

fn delay_after(count: i32) -> Option<Duration> {
    let more = u32::try_from(count - FREE_ATTEMPTS).ok()?;
    Some((FIRST_DELAY * 2_u32.pow(more.min(20))).min(LONGEST_DELAY))
}

/// The network of a client: what one party commonly has, /24 of IPv4 and /48 of IPv6.
pub fn network_of(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.octets()[..3].to_vec(),
        IpAddr::V6(ip) => ip.octets()[..6].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(kind: ThrottleKind, number: usize, now: Timestamp) -> Result<ThrottleCounter, Duration> {
        let mut counter = None;
        for _ in 1..number {
            counter = Some(kind.attempt(counter, now)?);
        }
        kind.attempt(counter, now)
    }

    #[test]
    fn windows_allow_their_number_and_say_how_long_to_wait() {
        let now = Timestamp::from_micros(1_000_000);
        for (kind, most, window) in [
            (ThrottleKind::AddressAndNetwork, 10, 15 * MINUTE),
            (ThrottleKind::Device, 10, 15 * MINUTE),
            (ThrottleKind::Network, 100, 60 * MINUTE),
        ] {
            let last = attempts(kind, most, now).unwrap();
            assert_eq!(attempts(kind, most + 1, now), Err(window));
            assert_eq!(kind.attempt(Some(last), now.plus(window)).unwrap().count, 1);
        }
    }

    #[test]
    fn an_address_is_delayed_from_a_second_to_fifteen_minutes_and_forgotten_after_an_hour() {
        let mut now = Timestamp::from_micros(0);
        let mut counter = None;
        let mut waits = Vec::new();
        for _ in 0..16 {
            if let Err(wait) = ThrottleKind::Address.attempt(counter, now) {
                waits.push(wait.as_secs());
                now = now.plus(wait);
            }
            counter = Some(ThrottleKind::Address.attempt(counter, now).unwrap());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(ThrottleKind::Address.attempt(counter, now.plus(ADDRESS_MEMORY)).unwrap().count, 1);
    }

    #[test]
    fn attempts_at_once_are_free_in_whatever_order_they_are_counted() {
        let (first, later) = (Timestamp::from_micros(1_000_000), Timestamp::from_micros(1_000_001));
        let one = ThrottleKind::Address.attempt(None, later).unwrap();
        let two = ThrottleKind::Address.attempt(Some(one), first).unwrap();
        let three = ThrottleKind::Address.attempt(Some(two), first).unwrap();
        assert_eq!(three.count, 3);
        assert_eq!(ThrottleKind::Address.attempt(Some(three), first), Err(FIRST_DELAY));
    }

    #[test]
    fn neighbours_share_a_network() {
        let network = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(network("203.0.113.7"), network("203.0.113.250"));
        assert_eq!(network("203.0.113.7"), network("::ffff:203.0.113.9"));
        assert_ne!(network("203.0.113.7"), network("203.0.114.7"));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:ffff::2"));
        assert_ne!(network("2001:db8:1::1"), network("2001:db8:2::1"));
    }
}
