//! Restorations that were given before: the same model, options and text give the same, so it is not worked out again.

use std::{future::Future, sync::Arc};

use moka::future::Cache;
use restorer::{Restoration, RestoreRequest};

use crate::{error::ApiError, metrics};

/// Bytes that an entry takes beside its texts, about.
const ENTRY_BYTES: usize = 256;

/// What decides about a restoration: BLAKE3 of the model's digest, the options and the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey([u8; 32]);

impl CacheKey {
    /// Of a request to the model with this digest. How urgent it is decides about nothing.
    pub(crate) fn of(digest: &str, request: &RestoreRequest) -> Self {
        let RestoreRequest { text, options, protected } = request;
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(digest.as_bytes());
        part(&options.min_confidence.map_or(Vec::new(), |least| least.to_le_bytes().to_vec()));
        part(&options.max_rounds.map_or(Vec::new(), |rounds| rounds.to_le_bytes().to_vec()));
        part(&options.alternatives.to_le_bytes());
        part(&options.num_beams.map_or(Vec::new(), |beams| beams.to_le_bytes().to_vec()));
        let spans = protected.iter().flat_map(|span| [span.start, span.end]);
        part(&spans.flat_map(usize::to_le_bytes).collect::<Vec<u8>>());
        part(text.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }
}

/// Restorations, bounded in bytes; what was asked for least falls out.
pub struct ResultCache {
    entries: Cache<CacheKey, Arc<Restoration>>,
}

impl ResultCache {
    /// [`Self::new`]'s bytes unless told otherwise.
    pub const DEFAULT_BYTES: usize = 1 << 26;

    /// Holds about so many bytes; none for 0.
    pub fn new(bytes: usize) -> Option<Self> {
        let weigh = |_: &CacheKey, restoration: &Arc<Restoration>| {
            u32::try_from(weight(restoration)).unwrap_or(u32::MAX)
        };
        let entries = || Cache::builder().max_capacity(bytes as u64).weigher(weigh).build();
        (bytes > 0).then(|| Self { entries: entries() })
    }

    /// What is known.
    pub(crate) async fn get(&self, key: &CacheKey) -> Option<Arc<Restoration>> {
        let found = self.entries.get(key).await;
        self.count(found.is_some());
        found
    }

    pub(crate) async fn insert(&self, key: CacheKey, restoration: Restoration) {
        self.entries.insert(key, Arc::new(restoration)).await;
    }

    /// What is known, or what `work` finds. Of those who ask for the same at once one works, and the others wait for it; if it leaves, the
    /// next one works.
    pub(crate) async fn get_or(
        &self,
        key: CacheKey,
        work: impl Future<Output = Result<Restoration, ApiError>>,
    ) -> Result<Arc<Restoration>, ApiError> {
        let mut worked = false;
        let work = async {
            worked = true;
            work.await.map(Arc::new)
        };
        let found = self.entries.try_get_with(key, work).await;
        self.count(!worked);
        found.map_err(|error| error.as_ref().clone())
    }

    fn count(&self, is_hit: bool) {
        metrics::result_cache(is_hit, self.entries.weighted_size());
    }
}

fn weight(restoration: &Restoration) -> usize {
    let Restoration { text, edits, alternatives, .. } = restoration;
    let edits: usize = edits.iter().map(|edit| size_of_val(edit) + edit.replacement.len()).sum();
    let others: usize = alternatives.iter().map(|other| size_of_val(other) + other.text.len()).sum();
    ENTRY_BYTES + text.len() + edits + others
}

#[cfg(test)]
mod tests {
    use restorer::{Priority, RestoreOptions};

    use super::*;
    use crate::error::Kind;

    fn restoration(text: &str) -> Restoration {
        Restoration {
            text: text.to_owned(),
            edits: Vec::new(),
            confidence: 1.0,
            calibrated: true,
            text_calibrated: true,
            passes: 1,
            alternatives: Vec::new(),
        }
    }

    #[test]
    fn whatever_decides_about_a_restoration_decides_about_its_key() {
        let request = RestoreRequest::new("text");
        let options = RestoreOptions::default();
        let key = |request: RestoreRequest| CacheKey::of("digest", &request);
        let with = |options| key(request.clone().with_options(options));
        let others = [
            CacheKey::of("other", &request),
            key(RestoreRequest::new("texts")),
            key(RestoreRequest { protected: std::iter::once(0..1).collect(), ..request.clone() }),
            with(RestoreOptions { min_confidence: Some(0.0), ..options }),
            with(RestoreOptions { min_confidence: Some(0.5), ..options }),
            with(RestoreOptions { max_rounds: Some(1), ..options }),
            with(RestoreOptions { alternatives: 1, ..options }),
            with(RestoreOptions { num_beams: Some(1), ..options }),
        ];
        for (at, other) in others.iter().enumerate() {
            assert!(*other != key(request.clone()) && !others[..at].contains(other), "{at}");
        }
        assert_eq!(with(RestoreOptions { priority: Priority::Bulk, ..options }), key(request.clone()));
    }

    #[tokio::test]
    async fn of_those_who_ask_at_once_one_works_and_the_next_if_it_leaves() {
        let cache = ResultCache::new(1 << 20).unwrap();
        let key = CacheKey::of("digest", &RestoreRequest::new("text"));
        let (go, gate) = tokio::sync::oneshot::channel::<()>();
        let first = cache.get_or(key, async {
            gate.await.unwrap();
            Ok(restoration("first"))
        });
        let second = cache.get_or(key, async { Ok(restoration("second")) });
        let (first, second, ()) = tokio::join!(first, second, async {
            tokio::task::yield_now().await;
            go.send(()).unwrap();
        });
        assert_eq!((first.unwrap().text.as_str(), second.unwrap().text.as_str()), ("first", "first"));
        let other = CacheKey::of("other", &RestoreRequest::new("text"));
        let never = cache.get_or(other, std::future::pending());
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), never).await.is_err());
        let failed = cache.get_or(other, async { Err(ApiError::new(Kind::QueueFull, "full")) }).await;
        assert_eq!(failed.unwrap_err().kind, Kind::QueueFull);
        // Errors are not kept.
        assert_eq!(cache.get_or(other, async { Ok(restoration("next")) }).await.unwrap().text, "next");
    }

    #[tokio::test]
    async fn bytes_are_bounded() {
        let cache = ResultCache::new(100_000).unwrap();
        for at in 0..100 {
            let key = CacheKey::of("digest", &RestoreRequest::new(at.to_string()));
            cache.insert(key, restoration(&"x".repeat(5000))).await;
        }
        cache.entries.run_pending_tasks().await;
        assert!(cache.entries.weighted_size() <= 100_000 && cache.entries.entry_count() > 5);
        assert!(ResultCache::new(0).is_none());
    }
}
