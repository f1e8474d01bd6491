//! The corruption channel.
//!
//! The channel reads the original from left to right, grapheme by grapheme. It skips a geometric gap to the next event;
//! events never overlap; at the end of the text only an insertion can start; nothing is redrawn. Every transition
//! therefore depends only on the graphemes that it consumes and on the end of the text.

use crate::alphabet::Alphabet;
use crate::distance::cer;
use crate::event::Event;
use crate::grapheme::{boundaries, graphemes};
use crate::op::Op;
use crate::pair::{Pair, Passage};
use crate::random::{RecordStream, pair_id};
use crate::sampler::{GapSampler, LengthSampler, threshold};
use crate::settings::{CorruptSettings, SettingsError};

/// What the sampler tried, whether or not it changed anything; indices are those of [`Op::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptCounts {
    /// Positions at which the operation could start.
    pub visited: [u64; 5],
    /// Attempts: each is a draw with the operation's rate.
    pub attempted: [u64; 5],
    /// Σ span lengths in graphemes, before a cut at the end of the text.
    pub span_graphemes: [u64; 5],
}

impl AttemptCounts {
    /// Adds the counts of other records.
    pub fn add(&mut self, other: &Self) {
        for i in 0..Op::ALL.len() {
            self.visited[i] += other.visited[i];
            self.attempted[i] += other.attempted[i];
            self.span_graphemes[i] += other.span_graphemes[i];
        }
    }
}

/// A corrupted text and its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corruption {
    /// The text after the channel.
    pub text: String,
    /// What changed it, in order.
    pub events: Vec<Event>,
    /// What was tried.
    pub counts: AttemptCounts,
}

/// The channel of one recipe, ready to sample.
#[derive(Clone, Debug)]
pub struct Channel {
    settings: CorruptSettings,
    alphabet: Alphabet,
    clean: u64,
    gaps: Vec<Option<GapSampler>>,
    ops: [u64; 4],
    last_op: usize,
    lengths: [LengthSampler; 5],
}

impl Channel {
    /// Prepares the samplers of `settings`.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn new(settings: &CorruptSettings) -> Result<Self, SettingsError> {
        settings.validate()?;
        let total = settings.total_rate();
        let gaps = settings
            .levels
            .iter()
            .map(|l| (total > 0.0).then(|| GapSampler::new((total * l).min(1.0))))
            .collect();
        let mut ops = [u64::MAX; 4];
        let mut below = 0.0;
        for (op, bound) in Op::ALL.into_iter().zip(&mut ops) {
            below += settings.op(op).rate;
            *bound = threshold(below / total);
        }
        let lengths = Op::ALL.map(|op| {
            let of = settings.op(op);
            LengthSampler::new(of.mean, of.max, usize::from(op == Op::Reversal))
        });
        Ok(Self {
            alphabet: Alphabet::new(&settings.alphabet)?,
            clean: threshold(settings.clean_share),
            settings: settings.clone(),
            gaps,
            ops,
            last_op: Op::ALL.iter().rposition(|&op| settings.op(op).rate > 0.0).unwrap_or(0),
            lengths,
        })
    }

    /// The settings that it was made from.
    pub fn settings(&self) -> &CorruptSettings {
        &self.settings
    }

    /// The symbols it draws from.
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// Makes copy `copy` of `passage`: draws its noise level, corrupts it, logs what happened.
    pub fn pair(&self, passage: &Passage<'_>, copy: u32) -> Pair {
        self.pair_counted(passage, copy, &mut AttemptCounts::default())
    }

    /// [`Self::pair`], adding what was tried to `counts`.
    pub fn pair_counted(&self, passage: &Passage<'_>, copy: u32, counts: &mut AttemptCounts) -> Pair {
        let mut stream = RecordStream::for_record(self.settings.seed, passage, copy);
        let (noise, corruption) = match self.draw_level(&mut stream) {
            None => (0.0, Corruption { text: passage.text.to_owned(), ..Corruption::default() }),
            Some(level) => (self.settings.levels[level], self.corrupt(passage.text, level, &mut stream)),
        };
        counts.add(&corruption.counts);
        Pair {
            id: pair_id(passage, copy),
            doc_id: passage.doc_id.to_owned(),
            source: passage.source.to_owned(),
            start: passage.start,
            copy,
            noise: Some(noise as f32),
            cer: if corruption.events.is_empty() { 0.0 } else { cer(passage.text, &corruption.text) },
            original: passage.text.to_owned(),
            corrupted: corruption.text,
            events: corruption.events,
        }
    }

    /// Draws an index into the noise grid; `None` is a clean record.
    pub fn draw_level(&self, stream: &mut RecordStream) -> Option<usize> {
        let clean = self.settings.clean_share >= 1.0 || stream.next_u64() < self.clean;
        (!clean).then(|| stream.below(self.settings.levels.len() as u64) as usize)
    }

    /// Corrupts `original` at the noise level with index `level`.
    ///
    /// # Panics
    /// If `original` has 4 GiB or more (offsets are 32-bit), or `level` is outside the noise grid.
    pub fn corrupt(&self, original: &str, level: usize, stream: &mut RecordStream) -> Corruption {
        assert!(
            u32::try_from(original.len()).is_ok(),
            "a text of 4 GiB or more must be cut into passages first"
        );
        let Some(gaps) = &self.gaps[level] else {
            return Corruption { text: original.to_owned(), ..Corruption::default() };
        };
        let mut walk = Walk::new(original);
        let mut at = 0;
        loop {
            let positions = walk.end() - at;
            let gap = gaps.draw(stream, positions + 1);
            let reached = (at + gap).min(walk.end());
            walk.visit(at, reached);
            if gap > positions {
                break;
            }
            at = reached;
            let op = self.draw_op(stream);
            if at == walk.end() && op != Op::Insertion {
                break;
            }
            let span = self.lengths[op as usize].draw(stream);
            walk.attempt(op, span);
            at = self.emit(&mut walk, op, at, span, stream);
            if at > walk.end() {
                break;
            }
        }
        walk.finish()
    }

    fn draw_op(&self, stream: &mut RecordStream) -> Op {
        let word = stream.next_u64();
        // The bounds are rounded: the very last words must not fall to an operation whose rate is 0.
        Op::ALL[self.ops.partition_point(|&bound| word >= bound).min(self.last_op)]
    }

    /// Carries out one event at `at` and returns the next position at which an event can start.
    fn emit(&self, walk: &mut Walk<'_>, op: Op, at: usize, span: usize, stream: &mut RecordStream) -> usize {
        let end = if op == Op::Insertion { at } else { (at + span).min(walk.end()) };
        let removed = walk.span(at, end);
        let replacement = match op {
            Op::Deletion => String::new(),
            Op::Substitution => graphemes(removed)
                .map(|grapheme| self.alphabet.draw_unlike(grapheme, stream).unwrap_or(grapheme))
                .collect(),
            Op::Insertion => (0..span).map(|_| self.alphabet.draw(stream)).collect(),
            Op::Duplication => removed.repeat(2),
            Op::Reversal => graphemes(removed).rev().collect(),
        };
        walk.log(op, at, end, replacement);
        // After an insertion the position's own grapheme is copied; past the end there is nothing left to start.
        if op == Op::Insertion { at + 1 } else { end }
    }
}

/// One pass over an original: grapheme positions in, output and log out.
struct Walk<'t> {
    original: &'t str,
    bounds: Vec<u32>,
    copied_to: usize,
    out: Corruption,
}

impl<'t> Walk<'t> {
    fn new(original: &'t str) -> Self {
        let text = String::with_capacity(original.len() + original.len() / 8);
        let mut out = Corruption { text, ..Corruption::default() };
        out.counts.visited[Op::Insertion as usize] = 1; // the end of the text
        Self { original, bounds: boundaries(original), copied_to: 0, out }
    }

    /// The position after the last grapheme.
    fn end(&self) -> usize {
        self.bounds.len() - 1
    }

    fn span(&self, from: usize, to: usize) -> &'t str {
        &self.original[self.bounds[from] as usize..self.bounds[to] as usize]
    }

    /// Counts the positions `from..=to` (`to` excluded where it is the end) as visited.
    fn visit(&mut self, from: usize, to: usize) {
        let positions = (to + 1).min(self.end()).saturating_sub(from) as u64;
        for visited in &mut self.out.counts.visited {
            *visited += positions;
        }
    }

    fn attempt(&mut self, op: Op, span: usize) {
        self.out.counts.attempted[op as usize] += 1;
        self.out.counts.span_graphemes[op as usize] += span as u64;
    }

    fn log(&mut self, op: Op, from: usize, to: usize, replacement: String) {
        let removed = self.span(from, to);
        if removed == replacement {
            return;
        }
        let start = self.bounds[from];
        self.out.text.push_str(&self.original[self.copied_to..start as usize]);
        self.out.text.push_str(&replacement);
        self.copied_to = self.bounds[to] as usize;
        let length = removed.len() as u32;
        self.out.events.push(Event {
            op: op.into(),
            start,
            length,
            removed: removed.to_owned(),
            replacement,
        });
    }

    fn finish(mut self) -> Corruption {
        self.out.text.push_str(&self.original[self.copied_to..]);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alphabet::AlphabetChoice;
    use crate::event::{invert, replay};
    use crate::settings::OpSettings;
    use proptest::prelude::*;

    fn passage(text: &str) -> Passage<'_> {
        Passage { source: "test", doc_id: "d", start: 0, text }
    }

    fn settings(rate: f64) -> CorruptSettings {
        CorruptSettings::default().with_total_rate(rate).at_level(1.0)
    }

    proptest! {
        #[test]
        fn the_log_replays_and_inverts(text in "(\\PC|[a-c \r\n]|e\u{301}|🇩🇪|👩‍👧){0,60}", copy in 0u32..50, rate in 0.0f64..1.0) {
            let channel = Channel::new(&settings(rate)).unwrap();
            let pair = channel.pair(&passage(&text), copy);
            prop_assert_eq!(&replay(&pair.original, &pair.events).unwrap(), &pair.corrupted);
            prop_assert_eq!(&invert(&pair.corrupted, &pair.events).unwrap(), &pair.original);
            prop_assert!(pair.events.iter().all(|e| e.removed != e.replacement));
        }
    }

    #[test]
    fn attempts_and_spans_follow_the_recipe() {
        let mut settings = settings(0.05);
        settings.reversal = OpSettings { rate: 0.02, mean: 4.0, max: 6 };
        let channel = Channel::new(&settings).unwrap();
        let text = "the quick brown fox jumps over the lazy dog ".repeat(20);
        let mut counts = AttemptCounts::default();
        for copy in 0..500 {
            channel.pair_counted(&passage(&text), copy, &mut counts);
        }
        for op in Op::ALL {
            let (i, of) = (op as usize, settings.op(op));
            let (visited, attempted) = (counts.visited[i] as f64, counts.attempted[i] as f64);
            let error = (visited * of.rate * (1.0 - of.rate)).sqrt();
            assert!((attempted - visited * of.rate).abs() < 3.0 * error, "{op}: {attempted} of {visited}");
            let (mean, deviation) = capped(of, usize::from(op == Op::Reversal));
            let found = counts.span_graphemes[i] as f64 / attempted;
            assert!(
                (found - mean).abs() < 3.0 * deviation / attempted.sqrt(),
                "{op}: {found} against {mean}"
            );
        }
    }

    /// Mean and standard deviation of `offset` + min(geometric, max − offset).
    fn capped(of: OpSettings, offset: usize) -> (f64, f64) {
        let (stop, cap) = (1.0 / (of.mean - offset as f64), of.max - offset);
        let law = |l: usize| {
            let survives = (1.0 - stop).powi((l - 1).cast_signed() as i32);
            if l == cap { survives } else { survives * stop }
        };
        let moment = |k: i32| (1..=cap).map(|l| law(l) * ((l + offset) as f64).powi(k)).sum::<f64>();
        (moment(1), (moment(2) - moment(1).powi(2)).sqrt())
    }

    #[test]
    fn at_the_end_only_an_insertion_starts() {
        for op in Op::ALL {
            let only = settings(1.0).only(op);
            let pair = Channel::new(&only).unwrap().pair(&passage(""), 0);
            assert_eq!(pair.events.len(), usize::from(op == Op::Insertion), "{op}");
        }
    }

    #[test]
    fn without_another_symbol_a_grapheme_stays() {
        let mut only = settings(1.0).only(Op::Substitution);
        only.alphabet = AlphabetChoice::Custom("a".into());
        let pair = Channel::new(&only).unwrap().pair(&passage("aaaa"), 0);
        assert_eq!((pair.corrupted.as_str(), pair.events.len()), ("aaaa", 0));
        let pair = Channel::new(&only).unwrap().pair(&passage("abab"), 0);
        assert_eq!(pair.corrupted, "aaaa");
    }

    #[test]
    fn clean_and_silent_records_are_verbatim() {
        let clean = CorruptSettings { clean_share: 1.0, ..CorruptSettings::default() };
        let pair = Channel::new(&clean).unwrap().pair(&passage("text"), 0);
        assert_eq!((pair.corrupted.as_str(), pair.noise), ("text", Some(0.0)));
        let silent = Channel::new(&settings(0.0)).unwrap().pair(&passage("text"), 0);
        assert_eq!((silent.corrupted.as_str(), silent.noise), ("text", Some(1.0)));
    }

    #[test]
    fn an_absent_operation_never_occurs() {
        let channel = Channel::new(&settings(0.9).only(Op::Substitution)).unwrap();
        let mut stream = RecordStream::for_purpose(5, "ops");
        assert!((0..100_000).all(|_| channel.draw_op(&mut stream) == Op::Substitution));
    }
}
