//! Beam search: what else a model could have written, and how probable that is beside what it would have written first.

use candle_core::{DType, Result};

use super::greedy::Written;
use super::network::{Network, SequenceCache};

/// A beginning of a text.
#[derive(Debug)]
struct Hypothesis {
    path: Path,
    cache: SequenceCache,
}

/// Tokens, one behind the other.
#[derive(Clone, Debug, Default)]
struct Path {
    tokens: Vec<u32>,
    /// ln of each token's probability in nats; of a text that has ended, of its end's as well.
    lns: Vec<f32>,
    /// ln of the probability of all, in nats.
    ln: f64,
}

/// A search for the most probable texts.
#[derive(Debug)]
pub(super) struct Beams {
    width: usize,
    most: usize,
    open: Vec<Hypothesis>,
    /// Texts that have ended, the most probable first.
    ended: Vec<Path>,
    /// Passes of the decoder.
    pub(super) passes: usize,
}

impl Beams {
    /// Reads `source`; `width` texts of at most `most` tokens are looked for.
    pub(super) fn begin(
        network: &Network,
        source: &[u32],
        ends: &[u32],
        (width, most): (usize, usize),
    ) -> Result<Self> {
        let (caches, logits) = network.start(&[source])?;
        let mut beams = Self { width: width.max(1), most, open: Vec::new(), ended: Vec::new(), passes: 1 };
        let logits: Vec<Vec<f32>> = logits.to_dtype(DType::F32)?.to_vec2()?;
        let before = caches.into_iter().map(|cache| Hypothesis { path: Path::default(), cache });
        beams.go_on(&before.collect::<Vec<_>>(), &logits, ends)?;
        Ok(beams)
    }

    /// Whether more probable texts can still be found.
    pub(super) fn goes_on(&self) -> bool {
        let best = self.open.iter().map(|hypothesis| hypothesis.path.ln).fold(f64::NEG_INFINITY, f64::max);
        // No text becomes more probable by going on.
        let least = self.ended.get(self.width - 1).map_or(f64::NEG_INFINITY, |path| path.ln);
        best > least && self.open.iter().any(|hypothesis| hypothesis.path.tokens.len() < self.most)
    }

    /// One token more of every hypothesis.
    pub(super) fn step(&mut self, network: &Network, ends: &[u32]) -> Result<()> {
        let mut open = std::mem::take(&mut self.open);
        open.retain(|hypothesis| hypothesis.path.tokens.len() < self.most);
        let tokens: Vec<u32> =
            open.iter().filter_map(|hypothesis| hypothesis.path.tokens.last().copied()).collect();
        let mut caches: Vec<&mut SequenceCache> =
            open.iter_mut().map(|hypothesis| &mut hypothesis.cache).collect();
        let logits = network.extend(&tokens, &vec![1; tokens.len()], &mut caches)?;
        self.passes += 1;
        self.go_on(&open, &logits.to_dtype(DType::F32)?.to_vec2()?, ends)
    }

    /// The best of all ways in which hypotheses can go on, given the logits behind each.
    fn go_on(&mut self, open: &[Hypothesis], logits: &[Vec<f32>], ends: &[u32]) -> Result<()> {
        let mut ways: Vec<(f64, usize, u32)> = Vec::new();
        for (index, (hypothesis, row)) in open.iter().zip(logits).enumerate() {
            let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|logit| f64::from(logit - greatest).exp()).sum();
            let behind = hypothesis.path.ln - f64::from(greatest) - sum.ln();
            ways.extend(
                row.iter().zip(0u32..).map(|(logit, token)| (behind + f64::from(*logit), index, token)),
            );
        }
        // Of equal ones the first: what is found depends on the source alone.
        let order = |a: &(f64, usize, u32), b: &(f64, usize, u32)| {
            b.0.total_cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
        };
        // Even if all hypotheses end here, as many go on.
        let kept = (self.width * (1 + ends.len())).min(ways.len());
        if kept < ways.len() {
            ways.select_nth_unstable_by(kept, order);
        }
        ways.truncate(kept);
        ways.sort_unstable_by(order);
        for (ln, index, token) in ways {
            let Hypothesis { path: before, cache } = &open[index];
            let ends_here = ends.contains(&token);
            if !ends_here && self.open.len() == self.width {
                continue;
            }
            let mut path = before.clone();
            path.lns.push((ln - before.ln) as f32);
            path.ln = ln;
            if ends_here {
                self.ended.push(path);
            } else {
                path.tokens.push(token);
                self.open.push(Hypothesis { path, cache: cache.fork()? });
            }
        }
        self.ended.sort_by(|a, b| b.ln.total_cmp(&a.ln));
        self.ended.truncate(self.width);
        Ok(())
    }

    /// Adds a text that was written and ended, if it is not among those that were found.
    pub(super) fn add(&mut self, written: &Written) {
        if self.ended.iter().all(|known| known.tokens != written.tokens) {
            let Written { tokens, ln_probabilities: lns, .. } = written.clone();
            let ln = lns.iter().map(|ln| f64::from(*ln)).sum();
            self.ended.push(Path { tokens, lns, ln });
            self.ended.sort_by(|a, b| b.ln.total_cmp(&a.ln));
        }
    }

    /// The most probable text that was found; `written`, where none has ended.
    pub(super) fn best(&self, written: &Written) -> Written {
        let Some(Path { tokens, lns, .. }) = self.ended.first() else { return written.clone() };
        Written { tokens: tokens.clone(), ln_probabilities: lns.clone(), ended: true, cost: written.cost }
    }

    /// The texts that were found, the most probable first, each with its share of the probability of all of them.
    pub(super) fn shares(&self) -> impl Iterator<Item = (&[u32], f64)> {
        let best = self.ended.first().map_or(0.0, |path| path.ln);
        let sum: f64 = self.ended.iter().map(|path| (path.ln - best).exp()).sum();
        self.ended.iter().map(move |path| (path.tokens.as_slice(), (path.ln - best).exp() / sum))
    }
}
