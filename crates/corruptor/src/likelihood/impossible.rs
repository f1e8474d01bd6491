//! Whether a channel can make a text at all, and if not, from which byte on.

use super::Likelihood;
use super::band::band;
use super::forward::{Forward, Stage, Tables};
use super::lattice::Lattice;
use super::mass::Possible;
use super::strip::Strip;
use crate::alphabet::Alphabet;
use crate::law::LevelLaw;
use crate::op::Op;

/// The levels that differ in what can happen at all: one at which graphemes are copied, one at which they never are.
fn distinct_levels(likelihood: &Likelihood) -> Vec<LevelLaw> {
    let law = likelihood.law();
    let mut levels: Vec<LevelLaw> = law.settings().levels.iter().map(|level| law.at_level(*level)).collect();
    levels.sort_by_key(|level| (level.copy > 0.0, level.end > 0.0));
    levels.dedup_by_key(|level| (level.copy > 0.0, level.end > 0.0));
    levels
}

/// Whether any level can make the corrupted text.
pub(crate) fn is_possible(likelihood: &Likelihood, lattice: &Lattice<'_>) -> bool {
    if likelihood.law.settings().clean_share >= 1.0 {
        return lattice.original == lattice.corrupted;
    }
    let everywhere = band(lattice, usize::MAX / 2);
    let tables = Tables::<Possible>::new(lattice);
    let can = |level: LevelLaw| {
        Forward::new(lattice, likelihood.law(), level, &tables, &everywhere).run(None).total.0
    };
    // The lattice may lack long spans; what is then not found to be possible must be looked at with all of them.
    distinct_levels(likelihood).into_iter().any(can)
        || lattice.is_cut() && {
            let whole = whole(likelihood, lattice.original, lattice.corrupted);
            is_possible(likelihood, &whole)
        }
}

fn whole<'t>(likelihood: &Likelihood, original: &'t str, corrupted: &'t str) -> Lattice<'t> {
    Lattice::new(&likelihood.law, &likelihood.ascii, original, corrupted, usize::MAX)
}

/// The length of the longest prefix of `corrupted` with which an output of the channel can begin.
pub(crate) fn first_impossible(likelihood: &Likelihood, original: &str, corrupted: &str) -> usize {
    let lattice = whole(likelihood, original, corrupted);
    let everywhere = band(&lattice, usize::MAX / 2);
    let tables = Tables::<Possible>::new(&lattice);
    let mut reach = Reach { likelihood, lattice: &lattice, farthest: 0 };
    if likelihood.law.settings().clean_share > 0.0 {
        reach.text(0, original.as_bytes());
    }
    if likelihood.law.settings().clean_share < 1.0 {
        for level in distinct_levels(likelihood) {
            let mut visit = |stage: Stage, i: usize, strip: &Strip<Possible>| {
                for (at, mass) in (strip.from..).zip(&strip.mass) {
                    if mass.0 {
                        reach.cell(&level, stage, i, at);
                    }
                }
            };
            Forward::new(&lattice, &likelihood.law, level, &tables, &everywhere).run(Some(&mut visit));
        }
    }
    reach.farthest
}

/// How far emissions agree with the corrupted text.
struct Reach<'a> {
    likelihood: &'a Likelihood,
    lattice: &'a Lattice<'a>,
    farthest: usize,
}

impl Reach<'_> {
    /// `text` is emitted at byte `at`; how much of it agrees.
    fn text(&mut self, at: usize, text: &[u8]) -> usize {
        let rest = &self.lattice.corrupted.as_bytes()[at..];
        let agreeing = rest.iter().zip(text).take_while(|(a, b)| a == b).count();
        self.farthest = self.farthest.max(at + agreeing);
        agreeing
    }

    /// What can be emitted in one reachable state.
    fn cell(&mut self, level: &LevelLaw, stage: Stage, i: usize, at: usize) {
        let alphabet = self.likelihood.law.alphabet();
        match stage {
            Stage::Inserting(_) => self.symbols(alphabet, at, |symbol| alphabet.probability(symbol) > 0.0),
            Stage::Replacing(_) => {
                let own = self.lattice.span(i, i + 1);
                let can = |symbol: &str| alphabet.probability_unlike(symbol, own) > 0.0;
                self.symbols(alphabet, at, can);
                for symbol in
                    alphabet.row_symbols(own).chain(std::iter::once(own)).filter(|symbol| can(symbol))
                {
                    self.text(at, symbol.as_bytes());
                }
            }
            Stage::Visited if i < self.lattice.count() => self.copy_or_move(level, i, at),
            Stage::Visited => self.farthest = self.farthest.max(at),
        }
    }

    fn symbols(&mut self, alphabet: &Alphabet, at: usize, can: impl Fn(&str) -> bool) {
        if self.farthest == self.lattice.corrupted.len() {
            return;
        }
        for symbol in alphabet.symbols() {
            if symbol.as_bytes().first() == self.lattice.corrupted.as_bytes().get(at) && can(symbol) {
                self.text(at, symbol.as_bytes());
            }
        }
    }

    fn copy_or_move(&mut self, level: &LevelLaw, i: usize, at: usize) {
        let (lattice, law) = (self.lattice, &self.likelihood.law);
        let event = |op: Op| level.event[op as usize] > 0.0;
        if level.copy > 0.0 || lattice.is_unconfused(i) {
            self.text(at, lattice.span(i, i + 1).as_bytes());
        }
        if event(Op::Substitution) && law.confusions().is_some() {
            let rest = (i..lattice.count()).map(|at| lattice.span(at, at + 1));
            for (_, row, _) in law.confusion(rest) {
                self.text(at, row.to.as_bytes());
            }
        }
        let left = lattice.count() - i;
        let spans = |op: Op| {
            let lengths = law.length(op);
            let longest = lengths.longest().unwrap_or(left).min(left);
            (1..=longest).filter(move |length| event(op) && lengths.consumes(*length, left) > 0.0)
        };
        for length in spans(Op::Duplication) {
            let span = lattice.span(i, i + length).as_bytes();
            if self.text(at, span) < span.len() {
                break;
            }
            self.text(at + span.len(), span);
        }
        for length in spans(Op::Reversal) {
            let mut at = at;
            for k in (i..i + length).rev() {
                let grapheme = lattice.span(k, k + 1).as_bytes();
                if self.text(at, grapheme) < grapheme.len() {
                    break;
                }
                at += grapheme.len();
            }
        }
    }
}
