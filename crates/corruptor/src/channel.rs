//! The corruption channel.
//!
//! The channel reads the original from left to right, grapheme by grapheme. It skips a geometric gap to the next event;
//! events never overlap; at the end of the text only an insertion can start; nothing is redrawn. Every transition
//! therefore depends only on the graphemes that it consumes and on the end of the text.

use serde::{Deserialize, Serialize};

use crate::alphabet::Alphabet;
use crate::event::Event;
use crate::grapheme::{Bytewise, Graphemes, Positions, is_bytewise};
use crate::law::ChannelLaw;
use crate::op::Op;
use crate::pair::{Pair, Passage};
use crate::random::{RecordStream, pair_id};
use crate::sampler::{GapSampler, LengthSampler, threshold};
use crate::settings::{CorruptSettings, SettingsError};
use crate::walk::{Walk, Workspace};

/// What the sampler tried, whether or not it changed anything; indices are those of [`Op::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    law: ChannelLaw,
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
    /// If a value is out of range or not resolved, or the settings have an escape symbol, which cannot be sampled.
    pub fn new(settings: &CorruptSettings) -> Result<Self, SettingsError> {
        let law = ChannelLaw::new(settings)?;
        if settings.escape > 0.0 {
            let message =
                "an escape symbol stands for anything and cannot be drawn; set it to 0 to corrupt text";
            return Err(SettingsError::new("corrupt.escape", message));
        }
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
        let lengths = Op::ALL.map(|op| LengthSampler::new(settings.op(op), usize::from(op == Op::Reversal)));
        Ok(Self {
            clean: threshold(settings.clean_share),
            law,
            gaps,
            ops,
            last_op: Op::ALL.iter().rposition(|&op| settings.op(op).rate > 0.0).unwrap_or(0),
            lengths,
        })
    }

    /// The probabilities that it samples from.
    pub fn law(&self) -> &ChannelLaw {
        &self.law
    }

    /// The settings that it was made from.
    pub fn settings(&self) -> &CorruptSettings {
        self.law.settings()
    }

    /// The symbols it draws from.
    pub fn alphabet(&self) -> &Alphabet {
        self.law.alphabet()
    }

    /// Makes copy `copy` of `passage`: draws its noise level, corrupts it, logs what happened.
    pub fn pair(&self, passage: &Passage<'_>, copy: u32) -> Pair {
        self.pair_counted(passage, copy, &mut AttemptCounts::default())
    }

    /// [`Self::pair`], adding what was tried to `counts`.
    pub fn pair_counted(&self, passage: &Passage<'_>, copy: u32, counts: &mut AttemptCounts) -> Pair {
        let mut workspace = Workspace::default();
        let noise = self.record(&mut workspace, passage, copy);
        counts.add(workspace.counts());
        Pair {
            id: pair_id(passage, copy),
            doc_id: passage.doc_id.to_owned(),
            source: passage.source.to_owned(),
            start: passage.start,
            copy,
            noise: Some(noise as f32),
            cer: workspace.cer(passage.text),
            original: passage.text.to_owned(),
            events: workspace.events(passage.text),
            corrupted: workspace.into_text(),
        }
    }

    /// Makes copy `copy` of `passage` in `workspace`, whose memory is used again: draws its noise level, which is returned,
    /// and corrupts it.
    ///
    /// # Panics
    /// If the passage has 4 GiB or more.
    pub fn record(&self, workspace: &mut Workspace, passage: &Passage<'_>, copy: u32) -> f64 {
        let mut stream = RecordStream::for_record(self.settings().seed, passage, copy);
        match self.draw_level(&mut stream) {
            None => {
                workspace.copy(passage.text);
                0.0
            }
            Some(level) => {
                self.corrupt_in(workspace, passage.text, level, &mut stream);
                self.settings().levels[level]
            }
        }
    }

    /// Draws an index into the noise grid; `None` is a clean record.
    pub fn draw_level(&self, stream: &mut RecordStream) -> Option<usize> {
        let settings = self.settings();
        let clean = settings.clean_share >= 1.0 || stream.next_u64() < self.clean;
        (!clean).then(|| stream.below(settings.levels.len() as u64) as usize)
    }

    /// Corrupts `original` at the noise level with index `level`.
    ///
    /// # Panics
    /// If `original` has 4 GiB or more (offsets are 32-bit), or `level` is outside the noise grid.
    pub fn corrupt(&self, original: &str, level: usize, stream: &mut RecordStream) -> Corruption {
        let mut workspace = Workspace::default();
        self.corrupt_in(&mut workspace, original, level, stream);
        let (events, counts) = (workspace.events(original), *workspace.counts());
        Corruption { text: workspace.into_text(), events, counts }
    }

    /// [`Self::corrupt`] in memory that is used again: `workspace` holds the text, the log and the counts afterwards.
    ///
    /// # Panics
    /// As [`corrupt`](Self::corrupt).
    pub fn corrupt_in(
        &self,
        workspace: &mut Workspace,
        original: &str,
        level: usize,
        stream: &mut RecordStream,
    ) {
        assert!(
            u32::try_from(original.len()).is_ok(),
            "a text of 4 GiB or more must be cut into passages first"
        );
        let Some(gaps) = &self.gaps[level] else { return workspace.copy(original) };
        if is_bytewise(original) {
            self.walk(Walk::new(workspace, original, Bytewise(original.len())), gaps, stream);
        } else {
            let graphemes = Graphemes::of(original, workspace.take_bounds());
            let graphemes = self.walk(Walk::new(workspace, original, graphemes), gaps, stream);
            workspace.return_bounds(graphemes.into_bounds());
        }
    }

    /// Skips from event to event.
    fn walk<P: Positions>(
        &self,
        mut walk: Walk<'_, '_, P>,
        gaps: &GapSampler,
        stream: &mut RecordStream,
    ) -> P {
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
            let table = self.law.confusions().filter(|_| op == Op::Substitution);
            at = if let Some(table) = table {
                let drawn = table.draw(walk.graphemes_from(at), stream);
                let (consumed, replacement) = drawn.unwrap_or((1, walk.span(at, at + 1)));
                walk.attempt(op, consumed);
                walk.event(op, at, at + consumed, |out| out.push_str(replacement));
                at + consumed
            } else {
                let span = self.lengths[op as usize].draw(stream);
                walk.attempt(op, span);
                self.emit(&mut walk, op, at, span, stream)
            };
            if at > walk.end() {
                break;
            }
        }
        walk.finish()
    }

    fn draw_op(&self, stream: &mut RecordStream) -> Op {
        let word = stream.next_u64();
        // The bounds are rounded: the very last words must not fall to an operation whose rate is 0.
        let reached = self.ops.iter().map(|&bound| usize::from(word >= bound)).sum::<usize>();
        Op::ALL[reached.min(self.last_op)]
    }

    /// Carries out one event at `at` and returns the next position at which an event can start.
    fn emit<P: Positions>(
        &self,
        walk: &mut Walk<'_, '_, P>,
        op: Op,
        at: usize,
        span: usize,
        stream: &mut RecordStream,
    ) -> usize {
        let alphabet = self.law.alphabet();
        let end = if op == Op::Insertion { at } else { at.saturating_add(span).min(walk.end()) };
        let removed = walk.span(at, end);
        let graphemes = walk.graphemes(at, end);
        walk.event(op, at, end, |out| match op {
            Op::Deletion => {}
            Op::Substitution => graphemes.for_each(|grapheme| {
                out.push_str(alphabet.draw_unlike(grapheme, stream).unwrap_or(grapheme));
            }),
            Op::Insertion => (0..span).for_each(|_| out.push_str(alphabet.draw(stream))),
            Op::Duplication => {
                out.push_str(removed);
                out.push_str(removed);
            }
            Op::Reversal => graphemes.rev().for_each(|grapheme| out.push_str(grapheme)),
        });
        // After an insertion the position's own grapheme is copied; past the end there is nothing left to start.
        if op == Op::Insertion { at + 1 } else { end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alphabet::{AlphabetChoice, WeightedAlphabet};
    use crate::confusion::{ConfusionChoice, ConfusionRow};
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
        settings.reversal = OpSettings::new(0.02, 4.0, 6);
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
        let rows = [("b".to_owned(), [("a".to_owned(), 1)].into())].into();
        let symbols = [("a".to_owned(), 1)].into();
        only.alphabet = AlphabetChoice::Weighted(WeightedAlphabet { symbols, backoff: 0, rows });
        let pair = Channel::new(&only).unwrap().pair(&passage("aaaa"), 0);
        assert_eq!((pair.corrupted.as_str(), pair.events.len()), ("aaaa", 0));
        let pair = Channel::new(&only).unwrap().pair(&passage("abab"), 0);
        assert_eq!(pair.corrupted, "aaaa");
    }

    #[test]
    fn a_confusion_replaces_what_matches_and_copies_the_rest() {
        let mut only = settings(1.0).only(Op::Substitution);
        let rows = ConfusionRow::parse("rn\tm\n0\tO\ncl\td", "t").unwrap();
        only.confusions = Some(ConfusionChoice::Rows(rows));
        let pair = Channel::new(&only).unwrap().pair(&passage("barn 10 r clr n"), 0);
        assert_eq!(pair.corrupted, "bam 1O r dr n");
        let logged: Vec<_> = pair.events.iter().map(|e| (e.start, e.removed.as_str())).collect();
        assert_eq!(logged, [(2, "rn"), (6, "0"), (10, "cl")]);
        assert_eq!(replay(&pair.original, &pair.events).unwrap(), pair.corrupted);
    }

    #[test]
    fn an_escape_cannot_be_sampled() {
        let error = Channel::new(&CorruptSettings { escape: 0.1, ..settings(0.1) }).unwrap_err();
        assert!(error.to_string().contains("corrupt.escape"), "{error}");
    }

    #[test]
    fn a_tail_goes_on_beyond_the_maximum() {
        let mut only = settings(0.05).only(Op::Insertion);
        only.insertion = OpSettings { rate: 0.05, mean: 1.0, max: 1, tail: 0.5 };
        let mut counts = AttemptCounts::default();
        let channel = Channel::new(&only).unwrap();
        (0..500).for_each(|copy| drop(channel.pair_counted(&passage(&"x".repeat(400)), copy, &mut counts)));
        let i = Op::Insertion as usize;
        let mean = counts.span_graphemes[i] as f64 / counts.attempted[i] as f64;
        assert!((mean - 2.0).abs() < 0.06, "{mean}");
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
