//! How many connections there are, in all and from each address, and how each address behaves.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Cidr;

use super::conduct::Conduct;

/// How often the log says that connections are turned away.
const TELL: Duration = Duration::from_secs(60);
/// How often addresses without a connection are looked at, whether they can be forgotten.
const FORGET: Duration = Duration::from_secs(1);

/// The places of one listener.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    most: usize,
    most_per_address: usize,
    most_malformed: u32,
    trusted: Vec<Cidr>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Addresses with a connection, and as many again at most without one against whom something is held still.
    by_address: HashMap<IpAddr, Address>,
    /// How many of them have no connection.
    absent: usize,
    /// When it was last looked who of those can be forgotten.
    cleared: Option<Instant>,
    told: Option<Instant>,
    untold: u64,
}

struct Address {
    connections: usize,
    conduct: Arc<Conduct>,
}

/// One connection's place. Dropped, it is free again.
pub struct Place {
    places: Places,
    /// Whom it is counted for; nobody if a trusted peer has it.
    counted: Option<IpAddr>,
    conduct: Option<Arc<Conduct>>,
}

/// There is no place.
#[derive(Debug)]
pub struct Full {
    pub limit: &'static str,
    /// How often this happened since it was last told, where it is time to tell it again.
    pub times_to_tell: Option<u64>,
}

impl Places {
    /// Of this many in all and for each address, which may send this many malformed requests in a row.
    pub fn new(most: usize, most_per_address: usize, most_malformed: u32, trusted: Vec<Cidr>) -> Self {
        Self(Arc::new(Shared { most, most_per_address, most_malformed, trusted, taken: Mutex::default() }))
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
            let now = Instant::now();
            let conduct = match counted {
                Some(group) => Some(self.enter(taken, group, now)?),
                None => None,
            };
            taken.all += 1;
            taken.forget(now);
            Ok(Place { places: self.clone(), counted, conduct })
        })
    }

    /// Counts a connection for an address.
    fn enter(&self, taken: &mut Taken, group: IpAddr, now: Instant) -> Result<Arc<Conduct>, Full> {
        let Some(address) = taken.by_address.get_mut(&group) else {
            let conduct = Arc::new(Conduct::new(group, self.0.most_malformed, now));
            taken.by_address.insert(group, Address { connections: 1, conduct: Arc::clone(&conduct) });
            return Ok(conduct);
        };
        if address.connections >= self.0.most_per_address {
            return Err(taken.full("--max-connections-per-address"));
        }
        if address.connections == 0 {
            taken.absent -= 1;
        }
        address.connections += 1;
        Ok(Arc::clone(&address.conduct))
    }

    fn leave(&self, taken: &mut Taken, group: IpAddr) {
        let Some(address) = taken.by_address.get_mut(&group) else { return };
        address.connections -= 1;
        if address.connections > 0 {
            return;
        }
        if taken.absent < self.0.most && !address.is_settled(Instant::now()) {
            taken.absent += 1;
        } else {
            taken.by_address.remove(&group);
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Taken) -> T) -> T {
        act(&mut self.0.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Place {
    /// How the address behaves; nobody looks at that of a trusted peer, which speaks for many.
    pub fn conduct(&self) -> Option<&Arc<Conduct>> {
        self.conduct.as_ref()
    }
}

impl Address {
    /// Whether nothing is held against it, nor will be for a call that is still being answered.
    fn is_settled(&self, now: Instant) -> bool {
        Arc::strong_count(&self.conduct) == 1 && self.conduct.is_forgiven(now)
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

    /// Forgets addresses that have no connection and against which nothing is held any more.
    fn forget(&mut self, now: Instant) {
        if self.absent == 0 || self.cleared.is_some_and(|cleared| now.saturating_duration_since(cleared) < FORGET) {
            return;
        }
        self.cleared = Some(now);
        let absent = &mut self.absent;
        self.by_address.retain(|_, address| {
            let forget = address.connections == 0 && address.is_settled(now);
            *absent -= usize::from(forget);
            !forget
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.conduct = None;
        self.places.with(|taken| {
            taken.all -= 1;
            if let Some(group) = self.counted {
                self.places.leave(taken, group);
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
        let places = Places::new(10, 2, 100, Vec::new());
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
        let places = Places::new(10, 1, 100, Vec::new());
        let _held = places.take(address("2001:db8::1")).unwrap();
        assert!(places.take(address("2001:db8::ffff:1")).is_err());
        assert!(places.take(address("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn a_trusted_peer_is_held_to_the_limit_of_all_only() {
        let places = Places::new(3, 1, 100, vec!["10.0.0.0/8".parse().unwrap()]);
        let held: Vec<_> = (0..3).map(|_| places.take(address("10.1.2.3")).unwrap()).collect();
        assert_eq!(places.take(address("10.1.2.3")).err().unwrap().limit, "--max-connections");
        drop(held);
        assert!(places.take(address("192.0.2.1")).is_ok());
    }

    #[test]
    fn what_an_address_has_done_is_remembered_when_its_connections_are_gone_until_it_is_forgiven() {
        let places = Places::new(10, 2, 100, Vec::new());
        let conduct = |place: &Place| Arc::clone(place.conduct().unwrap());
        let [guilty, other] = ["192.0.2.1", "192.0.2.2"].map(|text| places.take(address(text)).unwrap());
        conduct(&guilty).blame(500, Instant::now());
        drop((guilty, other));
        places.with(|taken| assert_eq!((taken.all, taken.absent, taken.by_address.len()), (0, 1, 1)));
        let again = places.take(address("192.0.2.1")).unwrap();
        assert!(conduct(&again).pause(Instant::now()).is_some());
        let second = places.take(address("192.0.2.1")).unwrap();
        assert!(Arc::ptr_eq(&conduct(&again), &conduct(&second)));
        assert!(conduct(&places.take(address("192.0.2.2")).unwrap()).pause(Instant::now()).is_none());
        drop((again, second));
        places.with(|taken| {
            taken.forget(Instant::now() + Duration::from_secs(3));
            assert_eq!((taken.absent, taken.by_address.len()), (1, 1));
            taken.forget(Instant::now() + Duration::from_secs(9));
            assert_eq!((taken.absent, taken.by_address.len()), (0, 0));
        });
    }

    #[test]
    fn what_is_still_being_answered_is_held_against_an_address_whose_connections_are_gone() {
        let places = Places::new(10, 2, 100, Vec::new());
        let place = places.take(address("192.0.2.1")).unwrap();
        let call = Arc::clone(place.conduct().unwrap());
        drop(place);
        call.blame(500, Instant::now());
        let again = places.take(address("192.0.2.1")).unwrap();
        assert!(again.conduct().unwrap().pause(Instant::now()).is_some());
        drop((again, call));
        places.with(|taken| {
            taken.forget(Instant::now() + Duration::from_secs(9));
            assert_eq!((taken.absent, taken.by_address.len()), (0, 0));
        });
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_may_be_connections() {
        let places = Places::new(3, 1, 100, Vec::new());
        for last in 0..9 {
            let place = places.take(IpAddr::from([192, 0, 2, last])).unwrap();
            place.conduct().unwrap().blame(500, Instant::now());
        }
        places.with(|taken| assert_eq!((taken.absent, taken.by_address.len()), (3, 3)));
    }

    #[test]
    fn nothing_is_held_against_a_trusted_peer() {
        let places = Places::new(3, 1, 100, vec!["10.0.0.0/8".parse().unwrap()]);
        assert!(places.take(address("10.1.2.3")).unwrap().conduct().is_none());
    }

    #[test]
    fn the_log_is_told_once_a_while() {
        let places = Places::new(0, 1, 100, Vec::new());
        assert_eq!(places.take(address("192.0.2.1")).err().unwrap().times_to_tell, Some(1));
        assert_eq!(places.take(address("192.0.2.1")).err().unwrap().times_to_tell, None);
    }
}
