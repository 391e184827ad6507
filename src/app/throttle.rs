//! Slows guessing of passwords, and asking for resets. The rules are in `model::throttle`; this counts by them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::authz::{Op, SessionCaller};
use crate::clock::Timestamp;
use crate::crypto::{TokenHash, keyed_hash, new_key};
use crate::error::{Error, Reason, Result};
use crate::model::{EmailAddress, SignInId, ThrottleKind, UserId, network_of};
use crate::store::{Settled, ThrottleKey, Write};

use super::{App, retrying};

/// The key of all counters, in the store.
const SECRET: &str = "throttle";
/// When to try again where attempts that are under way may turn out right, and make room.
const SOON: Duration = Duration::from_secs(1);

/// Who guesses at whose password.
pub(super) enum Guess<'a> {
    /// Somebody without a session.
    Stranger {
        email: &'a EmailAddress,
        /// The account of the address, or somebody who does not exist.
        user: UserId,
        /// The device that the client says it is.
        device: Option<TokenHash>,
    },
    /// Whoever holds a session. It has a counter of its own: what strangers do keeps nobody from the gravest acts.
    Session(SignInId),
}

/// A counter that an attempt was counted by.
struct Counted {
    kind: ThrottleKind,
    key: ThrottleKey,
    /// Since this attempt.
    blocked_until: Timestamp,
}

/// A guess that was counted and has turned out right or wrong.
#[must_use = "a right guess stays counted as a wrong one until it is settled"]
pub(super) struct Guessed<'a> {
    right: bool,
    /// What a right one has to be taken out of.
    counted: Vec<Counted>,
    _under_way: Option<OnItsWay<'a>>,
}

/// The attempts of this process that are counted and whose outcome is not known yet, by the counters of their networks.
/// People of one network who sign in side by side may be more than its limit, and are not to be told to come back in an
/// hour.
#[derive(Default)]
pub(super) struct UnderWay(Mutex<HashMap<ThrottleKey, usize>>);

/// An attempt that is under way until this is dropped.
struct OnItsWay<'a> {
    all: &'a UnderWay,
    key: ThrottleKey,
}

impl UnderWay {
    fn enter(&self, key: ThrottleKey) -> OnItsWay<'_> {
        self.with(|attempts| *attempts.entry(key).or_default() += 1);
        OnItsWay { all: self, key }
    }

    fn any(&self, key: &ThrottleKey) -> bool {
        self.with(|attempts| attempts.contains_key(key))
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<ThrottleKey, usize>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.all.with(|attempts| {
            if let Some(count) = attempts.get_mut(&self.key) {
                *count -= 1;
                if *count == 0 {
                    attempts.remove(&self.key);
                }
            }
        });
    }
}

impl Guess<'_> {
    pub(super) fn of_session(caller: &SessionCaller) -> Self {
        Self::Session(caller.sign_in_id)
    }
}

impl Guessed<'_> {
    pub(super) fn is_right(&self) -> bool {
        self.right
    }

    /// Settles a right guess as a part of `tx`, which locks nothing after the counters: whoever counts a guess waits for
    /// them, and for nothing else through them. A wrong one stays counted.
    pub(super) async fn settle(&self, tx: &mut Write) -> Result<()> {
        if self.right { settle(tx, &self.counted, true).await } else { Ok(()) }
    }
}

impl App {
    /// Runs `check`, which says whether a password is right, as a counted guess. A right one clears what its failures
    /// have counted; what is neither right nor wrong does not count.
    ///
    /// # Errors
    /// `TOO_MANY_ATTEMPTS`, before and whatever `check` would say; and the errors of `check`.
    pub(super) async fn guess<F>(&self, op: &Op, guess: Guess<'_>, check: F) -> Result<bool>
    where
        F: Future<Output = Result<bool>>,
    {
        let guessed = self.guess_unsettled(op, guess, check).await?;
        self.settle_guess(op, &guessed).await?;
        Ok(guessed.right)
    }

    /// As [`App::guess`], for whoever settles a right guess with what it brings, or by [`App::settle_guess`].
    pub(super) async fn guess_unsettled<F>(&self, op: &Op, guess: Guess<'_>, check: F) -> Result<Guessed<'_>>
    where
        F: Future<Output = Result<bool>>,
    {
        if !self.0.throttled {
            return Ok(Guessed { right: check.await?, counted: Vec::new(), _under_way: None });
        }
        let counters = self.counters(op, &guess).await?;
        let (counted, under_way) = retrying(op.deadline, || self.count(op, &counters)).await?;
        match check.await {
            Ok(right) => Ok(Guessed { right, counted, _under_way: under_way }),
            Err(error) => {
                retrying(op.deadline, || self.settle_alone(op, &counted, false)).await?;
                Err(error)
            }
        }
    }

    /// Settles a right guess in a transaction of its own.
    pub(super) async fn settle_guess(&self, op: &Op, guessed: &Guessed<'_>) -> Result<()> {
        if guessed.right && !guessed.counted.is_empty() {
            retrying(op.deadline, || self.settle_alone(op, &guessed.counted, true)).await?;
        }
        Ok(())
    }

    /// The counters that a guess meets, in the order in which they are locked: that of the address, of the address and
    /// network, of the network. A device that signed in before has one of its own, and no other; so has a sign-in.
    async fn counters(&self, op: &Op, guess: &Guess<'_>) -> Result<Vec<(ThrottleKind, ThrottleKey)>> {
        let secret = self.throttle_secret(op).await?;
        let key = |kind, parts: &[&[u8]]| Ok::<_, Error>((kind, key_of(&secret, kind, parts)?));
        let (email, user, device) = match guess {
            Guess::Session(sign_in) => return Ok(vec![key(ThrottleKind::Device, &[sign_in.uuid().as_bytes()])?]),
            Guess::Stranger { email, user, device } => (email.as_str().as_bytes(), user, device),
        };
        if let Some(device) = *device
            && self.store().is_known_device(device, *user, op.now).await?
        {
            return Ok(vec![key(ThrottleKind::Device, &[device.as_bytes()])?]);
        }
        let network = op.peer.address.map(network_of);
        let mut counters = vec![key(ThrottleKind::Address, &[email])?];
        counters.push(key(ThrottleKind::AddressAndNetwork, &[email, network.as_deref().unwrap_or_default()])?);
        // Where the client is not known all look alike, and one attacker must not spend everybody's budget.
        if let Some(network) = &network {
            counters.push(key(ThrottleKind::Network, &[network])?);
        }
        Ok(counters)
    }

    /// Counts an attempt. Answers the counters as it left them, and that it is under way, if it has a network.
    async fn count(
        &self,
        op: &Op,
        counters: &[(ThrottleKind, ThrottleKey)],
    ) -> Result<(Vec<Counted>, Option<OnItsWay<'_>>)> {
        let mut tx = self.store().write_background(op).await?;
        let keys: Vec<_> = counters.iter().map(|(_, key)| *key).collect();
        let before = tx.lock_throttle_counters(&keys).await?;
        let (mut counted, mut longest) = (Vec::with_capacity(counters.len()), None);
        for ((kind, key), before) in counters.iter().zip(before) {
            match kind.attempt(Some(before), op.now) {
                Ok(counter) => counted.push((*kind, (*key, counter))),
                Err(wait) if *kind == ThrottleKind::Network && self.0.under_way.any(key) => {
                    longest = longest.max(Some(wait.min(SOON)));
                }
                Err(wait) => longest = longest.max(Some(wait)),
            }
        }
        match longest {
            // A refused attempt is none.
            Some(wait) => Err(Error::new(Reason::TooManyAttempts).retry_after(wait)),
            None => {
                let set: Vec<_> = counted.iter().map(|(_, set)| *set).collect();
                tx.set_throttle_counters(&set).await?;
                // Whoever meets what is committed finds it under way.
                let network = counted.iter().find(|(kind, _)| *kind == ThrottleKind::Network);
                let under_way = network.map(|(_, (key, _))| self.0.under_way.enter(*key));
                tx.commit().await?;
                let counted = counted.into_iter();
                let counted =
                    counted.map(|(kind, (key, set))| Counted { kind, key, blocked_until: set.blocked_until }).collect();
                Ok((counted, under_way))
            }
        }
    }

    async fn settle_alone(&self, op: &Op, counted: &[Counted], right: bool) -> Result<()> {
        let mut tx = self.store().write_background(op).await?;
        settle(&mut tx, counted, right).await?;
        tx.commit().await
    }

    /// The counter of the resets that the caller's network asks for, where the network is known.
    pub(super) async fn reset_counter(&self, op: &Op) -> Result<Option<ThrottleKey>> {
        let Some(address) = op.peer.address.filter(|_| self.0.throttled) else {
            return Ok(None);
        };
        let secret = self.throttle_secret(op).await?;
        key_of(&secret, ThrottleKind::Resets, &[&network_of(address)]).map(Some)
    }

    async fn throttle_secret(&self, op: &Op) -> Result<Vec<u8>> {
        let load = || async {
            if let Some(secret) = self.store().secret(SECRET).await? {
                return Ok(secret);
            }
            let secret = new_key();
            let mut tx = self.store().write_background(op).await?;
            tx.insert_secret(SECRET, &secret).await?;
            tx.commit().await?;
            Ok(secret.to_vec())
        };
        self.0.throttle_secret.get_or_try_init(|| retrying(op.deadline, load)).await.cloned()
    }
}

/// Uncounts an attempt that was no failure. A `right` password clears the failures before it too, but not those of the
/// whole network, or an attacker with one account of their own would clear them at will.
async fn settle(tx: &mut Write, counted: &[Counted], right: bool) -> Result<()> {
    let settled = counted.iter().map(|Counted { kind, key, blocked_until }| match kind {
        ThrottleKind::AddressAndNetwork | ThrottleKind::Address | ThrottleKind::Device if right => {
            (*key, Settled::Forgotten)
        }
        _ => (*key, Settled::Uncounted { blocked_until: *blocked_until }),
    });
    tx.settle_throttle_counters(&settled.collect::<Vec<_>>()).await
}

/// What stands for the counter of a kind, of whatever the parts are.
fn key_of(secret: &[u8], kind: ThrottleKind, parts: &[&[u8]]) -> Result<ThrottleKey> {
    let number = kind.number().to_le_bytes();
    let parts: Vec<&[u8]> = std::iter::once(&number[..]).chain(parts.iter().copied()).collect();
    keyed_hash(secret, &parts)
}

/// Counts one more reset that a network asks for. Answers whether it is within the limit.
pub(super) async fn count_reset(tx: &mut Write, network: &ThrottleKey) -> Result<bool> {
    let before = tx.lock_throttle_counters(std::slice::from_ref(network)).await?;
    match ThrottleKind::Resets.attempt(before.first().copied(), tx.op().now) {
        Ok(counter) => {
            tx.set_throttle_counters(&[(*network, counter)]).await?;
            Ok(true)
        }
        Err(_) => Ok(false),
    }
}
