//! What a model will most likely write next: what its source says behind the place that it has come to.
//!
//! The place is found by aligning all that was written with the source, token by token as it is written: the best path through
//! the matrix of an edit distance, with a price for a token that stands for another, that the source lacks, or that it has too
//! many, and one for any leap. Verifying copied text was proposed as prompt lookup decoding (Saxena 2023) and inference with
//! reference (Yang et al. 2023, arXiv 2304.04487); both look for the place by the last few tokens alone.

/// Prices in nats; a token that is the same costs nothing.
const SUBSTITUTED: f32 = 4.0;
/// For a written token that the source lacks.
const MISSING: f32 = 4.2;
/// For a token of the source that is not written.
const EXTRA: f32 = 3.9;
/// For going on anywhere else.
const LEAP: f32 = 12.0;

/// Share of the past that each new token's hit or miss leaves in the expected share of hits.
const MEMORY: f32 = 0.97;
/// The share of hits that is expected before anything was written.
const EXPECTED: f32 = 0.9;
/// More tokens are never proposed at once.
const MOST: usize = 64;
/// Rows that are computed at once: fewer cost as much.
const TILE_ROWS: usize = 12;
/// Rows of a pass that cost as much as the pass itself, without any row: all weights are read once.
const PASS_ROWS: f32 = 12.0;
/// Rows that cost as much as a text in a pass, without any row: all its keys and values are read once.
const TEXT_ROWS: f32 = 4.0;

/// Follows one text through its source.
#[derive(Clone, Debug)]
pub(super) struct Drafter {
    source: Vec<u32>,
    /// What ends the text, proposed behind the source's last token.
    end: Option<u32>,
    /// Price of the best alignment of what was written that has read so many tokens of the source: `[tokens + 1]`.
    prices: Vec<f32>,
    /// Where the cheapest stands.
    place: usize,
    /// Expected share of tokens that are as proposed.
    hits: f32,
}

impl Drafter {
    /// Before anything was written.
    pub(super) fn new(source: Vec<u32>, end: Option<u32>) -> Self {
        let prices = (0..=source.len()).map(|skipped| (skipped as f32 * EXTRA).min(LEAP)).collect();
        Self { source, end, prices, place: 0, hits: EXPECTED }
    }

    /// A token was written.
    pub(super) fn push(&mut self, token: u32) {
        let hit = if self.at(self.place) == Some(token) { 1.0 } else { 0.0 };
        self.hits = MEMORY * self.hits + (1.0 - MEMORY) * hit;
        // The cheapest is 0: prices are told from there.
        let mut before = LEAP;
        let mut cheapest = f32::INFINITY;
        let mut behind = f32::INFINITY;
        for (read, price) in self.prices.iter_mut().enumerate() {
            let copied = match read.checked_sub(1).map(|last| self.source[last]) {
                Some(last) if last == token => before,
                Some(_) => before + SUBSTITUTED,
                None => f32::INFINITY,
            };
            before = price.min(LEAP);
            *price = copied.min(before + MISSING).min(behind + EXTRA);
            behind = *price;
            if *price < cheapest {
                (cheapest, self.place) = (*price, read);
            }
        }
        for price in &mut self.prices {
            *price -= cheapest;
        }
    }

    fn at(&self, place: usize) -> Option<u32> {
        self.source.get(place).copied().or(self.end.filter(|_| place == self.source.len()))
    }

    /// What comes next, at most `room` tokens: as many as pay when `texts` are written together.
    pub(super) fn propose(&self, texts: usize, room: usize) -> Vec<u32> {
        self.run(self.length(texts).min(room))
    }

    /// The next `length` tokens of the source, or as many as there are.
    fn run(&self, length: usize) -> Vec<u32> {
        (self.place..self.place + length).map_while(|place| self.at(place)).collect()
    }

    /// How many proposed tokens make a written token cheapest: each costs a row, and is worth something only if all before it
    /// were right.
    fn length(&self, texts: usize) -> usize {
        let shared = PASS_ROWS / texts.max(1) as f32 + TEXT_ROWS;
        let (mut written, mut chance) = (1.0, 1.0);
        // Texts that share a pass fill each other's tiles; one row alone still costs a little less than a tile.
        let rows = |proposed: usize| match (texts, proposed) {
            (1, 0) => TILE_ROWS - 1,
            (1, _) => (1 + proposed).next_multiple_of(TILE_ROWS),
            _ => 1 + proposed,
        };
        let (mut best, mut length) = (written / (shared + rows(0) as f32), 0);
        for proposed in 1..=MOST {
            chance *= self.hits;
            written += chance;
            let rate = written / (shared + rows(proposed) as f32);
            if rate > best {
                (best, length) = (rate, proposed);
            }
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use corruptor::{Channel, CorruptSettings, OpSettings, RecordStream};

    use super::*;

    const TEXT: &str = include_str!("../../../../LICENSE-APACHE");

    /// Tokens a pass that a perfect model writes of texts of 256 bytes, when their share `rate` has met an event with a span of
    /// `mean` on average: deletions, substitutions and insertions alike.
    fn tokens_a_pass(rate: f64, mean: f64, unbounded: bool) -> f64 {
        let off = CorruptSettings {
            duplication: OpSettings::OFF,
            reversal: OpSettings::OFF,
            ..CorruptSettings::default()
        };
        let one = OpSettings::new(rate / 3.0, mean, 8);
        let settings =
            CorruptSettings { deletion: one, substitution: one, insertion: one, ..off }.at_level(1.0);
        let channel = Channel::new(&settings).unwrap();
        let mut stream = RecordStream::for_purpose(1, "drafts");
        let text = TEXT.split_whitespace().collect::<Vec<_>>().join(" ");
        let tokens = |text: &str| text.bytes().map(u32::from).collect::<Vec<u32>>();
        let (mut written, mut passes) = (0, 0);
        for start in (0..text.len() - 256).step_by(256) {
            let original = &text[start..start + 256];
            let corrupted = tokens(&channel.corrupt(original, 0, &mut stream).text);
            let original = tokens(original);
            let mut drafter = Drafter::new(corrupted, None);
            let mut at = 0;
            while at < original.len() {
                let draft = if unbounded { drafter.run(MOST) } else { drafter.propose(1, MOST) };
                let kept = draft.iter().zip(&original[at..]).take_while(|(a, b)| a == b).count();
                let end = original.len().min(at + kept + 1);
                for token in &original[at..end] {
                    drafter.push(*token);
                }
                at = end;
                passes += 1;
            }
            written += original.len();
        }
        written as f64 / f64::from(passes)
    }

    #[test]
    fn a_perfect_model_keeps_long_runs_of_noisy_input() {
        for (rate, mean, least) in
            [(0.01, 1.0, 35.0), (0.05, 1.0, 11.0), (0.1, 1.0, 6.0), (0.05 / 3.0, 3.0, 13.0)]
        {
            let found = tokens_a_pass(rate, mean, true);
            assert!(found >= least, "{rate} × {mean}: {found:.1} tokens a pass");
            // Shorter drafts cost less, and say little less.
            let chosen = tokens_a_pass(rate, mean, false);
            assert!(chosen <= found && chosen > found / 2.0, "{rate} × {mean}: {chosen:.1} of {found:.1}");
        }
    }

    #[test]
    fn drafts_stop_where_they_are_never_right_and_begin_again() {
        let source: Vec<u32> = (0..200).map(|i| i % 50).collect();
        let mut drafter = Drafter::new(source.clone(), Some(99));
        assert_eq!(drafter.propose(1, 3), [0, 1, 2]);
        assert!(drafter.propose(64, 100).len() < drafter.propose(1, 100).len());
        for _ in 0..200 {
            drafter.push(77);
        }
        assert!(drafter.propose(1, 100).is_empty(), "nothing was right for long");
        for token in &source[..120] {
            drafter.push(*token);
        }
        assert!(drafter.propose(1, 100).len() > 5);
    }

    #[test]
    fn the_end_is_proposed_behind_the_source() {
        let mut drafter = Drafter::new(vec![5, 6], Some(1));
        for token in [5, 6] {
            drafter.push(token);
        }
        assert_eq!(drafter.propose(1, 9), [1]);
        assert!(Drafter::new(Vec::new(), None).propose(1, 9).is_empty());
    }
}
