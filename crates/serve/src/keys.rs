//! Keys of the API: who may ask, for what, and how often.
//!
//! A file names the holders of keys and holds a digest of each key, never the key. Keys are 256 random bits, which a plain digest
//! keeps: there is nothing to guess.

use std::{
    collections::HashSet,
    fmt::Write as _,
    net::IpAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use serde::{Deserialize, Serialize};

/// What every key begins with, so that it is known for one where it does not belong.
const PREFIX: &str = "rvt_";

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Restoring.
    Restore,
    /// That, and changing what the server serves.
    Admin,
}

/// Why keys cannot be used. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file was not read.
    #[error("cannot read the keys in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is not one of keys.
    #[error("{} holds no keys: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

/// A file of keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    key: Vec<Entry>,
}

/// A key, as the file has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    role: Role,
    /// BLAKE3 of the key, in hexadecimal.
    blake3: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_second: Option<NonZeroU32>,
}

/// A known key.
pub struct Key {
    name: Arc<str>,
    role: Role,
    digest: blake3::Hash,
    limiter: Option<DefaultDirectRateLimiter>,
}

impl Key {
    /// Who holds it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Counts a request; the time to wait where it comes too early.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check().map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

/// All known keys.
pub struct Keys(Vec<Key>);

impl Keys {
    /// Reads a file of keys.
    ///
    /// # Errors
    ///
    /// [`KeysError`], where it cannot be read, holds none, or holds one name or key twice.
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| KeysError::Read { path: path.to_path_buf(), source })?;
        Self::parse(&text).map_err(|message| KeysError::Content { path: path.to_path_buf(), message })
    }

    fn parse(text: &str) -> Result<Self, String> {
        // Not the text around what is wrong: a key may have been pasted there.
        let place = |error: &toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {}", error.message())
        };
        let file: File = toml::from_str(text).map_err(|error| place(&error))?;
        if file.key.is_empty() {
            return Err("it has no table [[key]]".to_owned());
        }
        let (mut names, mut digests) = (HashSet::new(), HashSet::new());
        let key = |entry: Entry| {
            let Entry { name, role, blake3, requests_per_second } = entry;
            let digest = blake3::Hash::from_hex(&blake3).map_err(|_| {
                format!("`blake3` of the key `{name}` is not a digest of 64 hexadecimal digits")
            })?;
            if !names.insert(name.clone()) {
                return Err(format!("there are two keys of the name `{name}`"));
            }
            if !digests.insert(digest) {
                return Err(format!("the key `{name}` is there under another name, too"));
            }
            let limiter = requests_per_second.map(|rate| RateLimiter::direct(Quota::per_second(rate)));
            Ok(Key { name: name.into(), role, digest, limiter })
        };
        file.key.into_iter().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// The key that was presented, if it is known. Takes the same time whichever it is.
    pub fn find(&self, presented: &str) -> Option<&Key> {
        let digest = blake3::hash(presented.as_bytes());
        let mut found = None;
        for key in &self.0 {
            // Digests compare in constant time, and all of them are compared.
            if key.digest == digest {
                found = Some(key);
            }
        }
        found
    }
}

/// How often an address may ask.
pub struct AddressRate(DefaultKeyedRateLimiter<IpAddr>);

impl AddressRate {
    /// So many requests in a second.
    pub fn new(requests_per_second: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_second(requests_per_second)))
    }

    /// Counts a request; the time to wait where it comes too early.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Duration> {
        self.0.check_key(&address).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }

    /// Forgets the addresses that could ask at once again: to be called now and then.
    pub(crate) fn forget(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

/// A new key: the secret, and its table for the file.
pub(crate) fn generate(name: &str, role: Role, requests_per_second: Option<NonZeroU32>) -> (String, String) {
    let bits: [u8; 32] = rand::random();
    let mut secret = PREFIX.to_owned();
    for byte in bits {
        // Writing to a string does not fail.
        let _written = write!(secret, "{byte:02x}");
    }
    let blake3 = blake3::hash(secret.as_bytes()).to_hex().to_string();
    let entry = Entry { name: name.to_owned(), role, blake3, requests_per_second };
    // Strings and numbers are always written.
    let table = toml::to_string(&entry).unwrap_or_default();
    (secret, format!("[[key]]\n{table}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_found_by_its_file_and_no_other() {
        let (secret, table) = generate("a", Role::Restore, None);
        let (admin, second) = generate("b \"quoted\"", Role::Admin, NonZeroU32::new(2));
        assert!(!table.contains(&secret) && secret.len() > 64);
        let keys = Keys::parse(&format!("{table}\n{second}")).unwrap();
        let found = keys.find(&secret).unwrap();
        assert_eq!((found.name().as_ref(), found.role()), ("a", Role::Restore));
        let found = keys.find(&admin).unwrap();
        assert_eq!((found.name().as_ref(), found.role()), ("b \"quoted\"", Role::Admin));
        assert!(keys.find("").is_none() && keys.find(&secret[..secret.len() - 1]).is_none());
        // Two a second, then the time until the next.
        assert!(found.take().is_ok() && found.take().is_ok());
        assert!(found.take().unwrap_err() <= Duration::from_millis(500));
    }

    #[test]
    fn a_file_that_is_wrong_says_where_and_shows_no_key() {
        let (secret, table) = generate("a", Role::Restore, None);
        for (text, words) in [
            (String::new(), "no table [[key]]"),
            (format!("{table}{table}"), "two keys of the name `a`"),
            (format!("{table}{}", table.replace("\"a\"", "\"b\"")), "under another name"),
            (
                format!("[[key]]\nname = \"a\"\nrole = \"restore\"\nblake3 = \"{secret}\""),
                "64 hexadecimal digits",
            ),
            (format!("[[key]]\nname = \"a\"\nkey = \"{secret}\""), "line 3: unknown field `key`"),
            ("[[key]]\nname = \"a\"\nrole = \"root\"".to_owned(), "line 3: unknown variant `root`"),
        ] {
            let message = Keys::parse(&text).err().unwrap();
            assert!(message.contains(words), "{message}");
            assert!(!message.contains(&secret), "{message}");
        }
    }
}
