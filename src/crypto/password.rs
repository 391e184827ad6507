//! Passwords: what is accepted, how it is hashed, and a pool of its own for both.
//!
//! Hashing is expensive by design, so it must not take the cores from everything else: at most as many hashes run at
//! once as there are permits, a bounded number waits, and the rest is refused with `OVERLOADED` at once. Memory is
//! bounded by permits × memory cost.

use argon2::Params;
use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use super::argon::Hasher;
use super::pool::{Place, Pool};
use crate::error::{Error, FieldReason, FieldViolation, Result};
use crate::model::PasswordHash;

/// Longest password in code points after NFC. NIST SP 800-63B-4, 3.1.1.2 asks for at least 64 to be accepted; the bound
/// keeps the work per guess bounded.
const MAX_PASSWORD_CHARS: usize = 128;
/// Callers that may wait for each permit. At 20 ms a hash this is about a second of waiting.
const WAITING_PER_PERMIT: usize = 64;
/// The guesses that a password must withstand, as zxcvbn's score: 3 is 10^8 and more, "safely unguessable".
const MIN_SCORE: zxcvbn::Score = zxcvbn::Score::Three;

/// What a new password must be.
#[derive(Clone, Copy, Debug)]
pub struct PasswordPolicy {
    /// Shortest password in code points after NFC. NIST SP 800-63B-4, 3.1.1.2: 15 where it is the only factor.
    pub min_chars: usize,
}

/// Hashes and checks passwords in a bounded pool.
#[derive(Clone, Debug)]
pub struct Passwords {
    policy: PasswordPolicy,
    hasher: Hasher,
    /// What is looked at in place of the hash of an account that does not exist. No password has it.
    decoy: PasswordHash,
    pool: Pool,
}

impl Passwords {
    /// A pool with argon2id at `memory_kib` KiB, `iterations` passes and `lanes` lanes. At most `permits` hashes run at once.
    ///
    /// # Errors
    /// If argon2 cannot work with these costs.
    pub fn new(policy: PasswordPolicy, memory_kib: u32, iterations: u32, lanes: u32, permits: usize) -> Result<Self> {
        let params = Params::new(memory_kib, iterations, lanes, None).map_err(|e| Error::internal(e.to_string()))?;
        let permits = permits.max(1);
        let hasher = Hasher::new(params);
        Ok(Self {
            policy,
            decoy: hasher.hash_of_nothing()?,
            hasher,
            pool: Pool::new(permits, permits * (1 + WAITING_PER_PERMIT))?,
        })
    }

    /// Holds `password` against the policy and hashes it. `personal` are the words that it must not be made of: the
    /// person's address and name.
    ///
    /// # Errors
    /// `FIELD_INVALID` on `field` with `PASSWORD_…` when the password is refused, `OVERLOADED` when the pool is full.
    pub async fn hash_new(
        &self,
        field: &'static str,
        password: SecretString,
        personal: Vec<String>,
    ) -> Result<PasswordHash> {
        let this = self.clone();
        self.pool
            .run(&self.reserve()?, move || {
                let password = this.accepted(field, &password, &personal)?;
                this.hasher.hash(password.expose_secret())
            })
            .await
    }

    /// Hashes a password that [`Passwords::check_new`] has taken.
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash> {
        self.hash_in(&self.reserve()?, password).await
    }

    /// As [`Passwords::hash`], in a place that is there already.
    pub async fn hash_in(&self, place: &Place, password: SecretString) -> Result<PasswordHash> {
        let this = self.clone();
        self.pool.run(place, move || this.hasher.hash(normalized(&password).expose_secret())).await
    }

    /// Whether a stored hash was made with a lower cost than the ones in force.
    pub fn is_outdated(&self, stored: &PasswordHash) -> bool {
        self.hasher.is_outdated(stored)
    }

    /// As [`Passwords::hash_new`], without the hash.
    pub async fn check_new(&self, field: &'static str, password: SecretString, personal: Vec<String>) -> Result<()> {
        let this = self.clone();
        self.pool.run(&self.reserve()?, move || this.accepted(field, &password, &personal).map(drop)).await
    }

    /// The password in the form that is hashed, if the policy takes it.
    fn accepted(&self, field: &'static str, password: &SecretString, personal: &[String]) -> Result<SecretString> {
        let password = normalized(password);
        let length = password.expose_secret().chars().count();
        check_length(length, self.policy)
            .and_then(|()| check_strength(password.expose_secret(), personal))
            .map_err(|(reason, text)| Error::fields(vec![FieldViolation::new(field, reason, text)]))?;
        Ok(password)
    }

    /// A place for a hash that is to come. Who reserves one before asking the database is refused before that.
    ///
    /// # Errors
    /// `OVERLOADED` when the pool is full.
    pub fn reserve(&self) -> Result<Place> {
        self.pool.reserve()
    }

    /// Whether `password` is the one that `stored` was made of. Without a stored hash the same work is done for nothing,
    /// so that the time taken does not tell whether an account exists.
    pub async fn verify(&self, place: &Place, password: SecretString, stored: Option<PasswordHash>) -> Result<bool> {
        let this = self.clone();
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        self.pool
            .run(place, move || {
                // One line for each password that argon2 gets to see: what comes before it can be held to that.
                tracing::trace!("a password is looked at");
                let matches = this.hasher.matches(normalized(&password).expose_secret(), &stored)?;
                Ok(matches && exists)
            })
            .await
    }
}

/// NFC, so that the same password typed on another keyboard is the same (NIST SP 800-63B-4, 3.1.1.2).
fn normalized(password: &SecretString) -> SecretString {
    SecretString::from(password.expose_secret().nfc().collect::<String>())
}

fn check_length(length: usize, policy: PasswordPolicy) -> Result<(), (FieldReason, String)> {
    if length < policy.min_chars {
        let text = format!("must have at least {} characters; a few unrelated words do well", policy.min_chars);
        return Err((FieldReason::PasswordTooShort, text));
    }
    if length > MAX_PASSWORD_CHARS {
        return Err((FieldReason::PasswordTooLong, format!("must have at most {MAX_PASSWORD_CHARS} characters")));
    }
    Ok(())
}

/// One look at a good password, since a look costs a good part of a hash; a second one only to say what is wrong.
fn check_strength(password: &str, personal: &[String]) -> Result<(), (FieldReason, String)> {
    let words: Vec<&str> = personal.iter().flat_map(|text| words_of(text)).collect();
    if zxcvbn::zxcvbn(password, &words).score() >= MIN_SCORE {
        return Ok(());
    }
    Err(if zxcvbn::zxcvbn(password, &[]).score() >= MIN_SCORE {
        (FieldReason::PasswordPersonal, "is too easy to guess: it is made of your own name or e-mail address".into())
    } else {
        (
            FieldReason::PasswordCommon,
            "is too easy to guess: it is common, or made of a pattern, a date or a repetition".into(),
        )
    })
}

/// The text and the words in it, without those too short to mean anything.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    std::iter::once(text).chain(text.split(|c: char| !c.is_alphanumeric())).filter(|word| word.chars().count() >= 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    fn passwords() -> Passwords {
        Passwords::new(PasswordPolicy { min_chars: 15 }, 64, 1, 1, 2).unwrap()
    }

    async fn refusal(password: &str) -> FieldReason {
        let personal = vec!["ada.lovelace@example.com".into(), "Ada Lovelace".into()];
        let error = passwords().hash_new("password", password.into(), personal).await.unwrap_err();
        error.violations()[0].reason
    }

    #[tokio::test]
    async fn a_hash_is_of_its_own_password_only() {
        let pool = passwords();
        let hash = pool.hash_new("password", "violet kettle orbit 77".into(), vec![]).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{}", hash.as_str());
        assert!(
            pool.verify(&pool.reserve().unwrap(), "violet kettle orbit 77".into(), Some(hash.clone())).await.unwrap()
        );
        assert!(!pool.verify(&pool.reserve().unwrap(), "violet kettle orbit 78".into(), Some(hash)).await.unwrap());
        assert!(!pool.verify(&pool.reserve().unwrap(), "violet kettle orbit 77".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn composed_and_decomposed_spellings_are_the_same_password() {
        let pool = passwords();
        let hash = pool.hash_new("password", "zo\u{eb} kettle orbit 77 x".into(), vec![]).await.unwrap();
        assert!(
            pool.verify(&pool.reserve().unwrap(), "zoe\u{308} kettle orbit 77 x".into(), Some(hash)).await.unwrap()
        );
    }

    #[tokio::test]
    async fn a_weak_password_is_refused_with_its_reason() {
        assert_eq!(refusal("kettle orbit 7").await, FieldReason::PasswordTooShort);
        assert_eq!(refusal(&"kettle orbit 77 ".repeat(9)).await, FieldReason::PasswordTooLong);
        assert_eq!(refusal("password12345678").await, FieldReason::PasswordCommon);
        assert_eq!(refusal("aaaaaaaaaaaaaaaaaaaa").await, FieldReason::PasswordCommon);
        assert_eq!(refusal("ada.lovelace@example.com").await, FieldReason::PasswordPersonal);
    }

    #[tokio::test]
    async fn a_stored_hash_that_asks_for_too_much_is_not_obeyed() {
        let greedy =
            "$argon2id$v=19$m=4194304,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
        let pool = passwords();
        let error = pool
            .verify(&pool.reserve().unwrap(), "x".into(), Some(PasswordHash::from_stored(greedy.into())))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), Reason::Internal);
    }

    #[tokio::test]
    async fn a_hash_of_lower_cost_is_outdated_and_a_dearer_one_is_not() {
        let dearer = Passwords::new(PasswordPolicy { min_chars: 15 }, 128, 1, 1, 2).unwrap();
        let hash = passwords().hash("violet kettle orbit 77".into()).await.unwrap();
        assert!(dearer.is_outdated(&hash));
        assert!(!passwords().is_outdated(&hash));
        assert!(!passwords().is_outdated(&dearer.hash("violet kettle orbit 77".into()).await.unwrap()));
        assert!(dearer.verify(&dearer.reserve().unwrap(), "violet kettle orbit 77".into(), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_pool_refuses_at_once() {
        let pool = passwords();
        let held: Vec<Place> = (0..2 * (1 + WAITING_PER_PERMIT)).map(|_| pool.reserve().unwrap()).collect();
        let error = pool.reserve().unwrap_err();
        assert_eq!(error.reason(), Reason::Overloaded);
        // Half of the places at the pace of the first guess, less than a quarter of which is taken off.
        let told = error.retry_delay().unwrap().as_millis();
        assert!((480..=650).contains(&told), "{told}");
        assert_eq!(pool.hash("x".into()).await.map(drop).unwrap_err().reason(), Reason::Overloaded);
        drop(held);
        pool.hash("x".into()).await.unwrap();
    }
}
