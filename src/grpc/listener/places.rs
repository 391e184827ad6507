//! How many connections there are, in all and from each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Cidr;

/// How often the log says that connections are turned away.
const TELL: Duration = Duration::from_secs(60);

/// The places of one listener.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    most: usize,
    most_per_address: usize,
    trusted: Vec<Cidr>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Addresses without a connection are not in it, so it is as bounded as the connections are.
    by_address: HashMap<IpAddr, usize>,
    told: Option<Instant>,
    untold: u64,
}

/// One connection's place. Dropped, it is free again.
pub struct Place {
    places: Places,
    /// Whom it is counted for; nobody if a trusted peer has it.
    counted: Option<IpAddr>,
}

/// There is no place.
#[derive(Debug)]
pub struct Full {
    pub limit: &'static str,
    /// How often this happened since it was last told, where it is time to tell it again.
    pub times_to_tell: Option<u64>,
}

impl Places {
    pub fn new(most: usize, most_per_address: usize, trusted: Vec<Cidr>) -> Self {
        Self(Arc::new(Shared { most, most_per_address, trusted, taken: Mutex::default() }))
    }

    /// A place for a connection from this address.
    pub fn take(&self, address: IpAddr) -> Result<Place, Full> {
        let address = address.to_canonical();
        let trusted = self.0.trusted.iter().any(|network| network.contains(address));
        let counted = (!trusted).then(|| group_of(address));
        self.with(|taken| {
            if taken.all >= self.0.most {
                return Err(taken.full("--max-connections"));
            }
            if let Some(group) = counted {
                let count = taken.by_address.entry(group).or_default();
                if *count >= self.0.most_per_address {
                    return Err(taken.full("--max-connections-per-address"));
                }
                *count += 1;
            }
            taken.all += 1;
            Ok(Place { places: self.clone(), counted })
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Taken) -> T) -> T {
        act(&mut self.0.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Taken {
    fn full(&mut self, limit: &'static str) -> Full {
        self.untold += 1;
        let due = self.told.is_none_or(|told| told.elapsed() >= TELL);
        let times_to_tell = due.then(|| std::mem::take(&mut self.untold));
        if due {
            self.told = Some(Instant::now());
        }
        Full { limit, times_to_tell }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counted = self.counted;
        self.places.with(|taken| {
            taken.all -= 1;
            let Some(group) = counted else { return };
            if let Some(count) = taken.by_address.get_mut(&group) {
                *count -= 1;
                if *count == 0 {
                    taken.by_address.remove(&group);
                }
            }
        });
    }
}

/// Who has an IPv6 address has its /64 as well.
fn group_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_places_and_gets_them_back() {
        let places = Places::new(10, 2, Vec::new());
        let held = [places.take(address("192.0.2.1")).unwrap(), places.take(address("::ffff:192.0.2.1")).unwrap()];
        assert_eq!(places.take(address("192.0.2.1")).err().unwrap().limit, "--max-connections-per-address");
        let other = places.take(address("192.0.2.2")).unwrap();
        drop(held);
        let again = places.take(address("192.0.2.1")).unwrap();
        drop((other, again));
        places.with(|taken| assert_eq!((taken.all, taken.by_address.len()), (0, 0)));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let places = Places::new(10, 1, Vec::new());
        let _held = places.take(address("2001:db8::1")).unwrap();
        assert!(places.take(address("2001:db8::ffff:1")).is_err());
        assert!(places.take(address("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn a_trusted_peer_is_held_to_the_limit_of_all_only() {
        let places = Places::new(3, 1, vec!["10.0.0.0/8".parse().unwrap()]);
        let held: Vec<_> = (0..3).map(|_| places.take(address("10.1.2.3")).unwrap()).collect();
        assert_eq!(places.take(address("10.1.2.3")).err().unwrap().limit, "--max-connections");
        drop(held);
        assert!(places.take(address("192.0.2.1")).is_ok());
    }

    #[test]
    fn the_log_is_told_once_a_while() {
        let places = Places::new(0, 1, Vec::new());
        assert_eq!(places.take(address("192.0.2.1")).err().unwrap().times_to_tell, Some(1));
        assert_eq!(places.take(address("192.0.2.1")).err().unwrap().times_to_tell, None);
    }
}
