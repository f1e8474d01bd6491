//! The decoder against every original and every path, enumerated from the channel's definition alone.

use std::collections::BTreeMap;

use corruptor::{
    AlphabetChoice, ChannelLaw, ConfusionChoice, ConfusionRow, CorruptSettings, Op, OpSettings,
    WeightedAlphabet, align, graphemes,
};

use super::asking::Asker;
use super::decode::{Decoded, decode};
use super::model::ChannelModel;
use super::observed::Window;
use super::units::Units;
use super::{Beam, Posterior, Weights};
use crate::prior::{END, Prior, Symbol};

/// A prior of texts over a few graphemes in which the last byte matters.
struct Bigrams {
    /// ln P(symbol | last byte), by both.
    ln: Vec<f32>,
}

impl Bigrams {
    /// Each byte of `units` may follow each that UTF-8 lets it follow; an end has the probability `end`.
    fn new(units: &[&str], end: f64) -> Self {
        let mut ln = vec![f32::NEG_INFINITY; 256 * 256];
        for last in 0..=255u8 {
            // Bytes that can come: a unit begins, or one that has begun goes on.
            let inside: Vec<u8> = units
                .iter()
                .flat_map(|u| u.as_bytes().windows(2))
                .filter(|w| w[0] == last)
                .map(|w| w[1])
                .collect();
            let is_whole = inside.is_empty() || units.iter().any(|u| u.as_bytes().last() == Some(&last));
            let mut next: Vec<u8> = inside;
            if is_whole {
                next.extend(units.iter().map(|u| u.as_bytes()[0]));
            }
            next.sort_unstable();
            next.dedup();
            let weight =
                |byte: u8| 1.0 + f64::from(byte.wrapping_mul(31).wrapping_add(last.wrapping_mul(17)) % 7);
            let total: f64 = next.iter().map(|byte| weight(*byte)).sum();
            let others = if is_whole { 1.0 - end } else { 1.0 };
            for byte in next {
                ln[usize::from(last) * 256 + usize::from(byte)] = (others * weight(byte) / total).ln() as f32;
            }
            if is_whole {
                ln[usize::from(last) * 256 + usize::from(END)] = end.ln() as f32;
            }
        }
        Self { ln }
    }

    fn ln(&self, last: u8, symbol: Symbol) -> f32 {
        self.ln[usize::from(last) * 256 + usize::from(symbol)]
    }

    fn ln_text(&self, text: &str) -> f64 {
        let (mut last, mut sum) = (0, 0.0);
        for symbol in text.bytes().chain([END]) {
            sum += f64::from(self.ln(last, symbol));
            last = symbol;
        }
        sum
    }
}

impl Prior for Bigrams {
    type State = u8;

    fn start(&self) -> u8 {
        0
    }

    fn open(&self) -> u8 {
        b' '
    }

    fn advance(&self, steps: &[(u8, Symbol)], next: &mut Vec<(f32, u8)>) {
        next.clear();
        next.extend(steps.iter().map(|(last, symbol)| (self.ln(*last, *symbol), *symbol)));
    }
}

/// Sum and maximum of the weights of paths.
#[derive(Clone, Copy, Default)]
struct Mass {
    sum: f64,
    best: f64,
}

impl Mass {
    /// Paths that go on from these, each with the weight `p`.
    fn add(&mut self, p: f64, on: Self) {
        self.sum += p * on.sum;
        self.best = self.best.max(p * on.best);
    }
}

/// All paths from one original to one corrupted text, at one level.
struct Paths<'a> {
    settings: &'a CorruptSettings,
    symbols: &'a BTreeMap<String, u32>,
    original: Vec<&'a str>,
    level: f64,
    /// e^−penalty.
    toll: f64,
    /// By grapheme and bytes that are left.
    known: BTreeMap<(usize, usize), Mass>,
}

impl Paths<'_> {
    fn rate(&self, op: Op) -> f64 {
        self.settings.op(op).rate * self.level
    }

    /// Probabilities of the lengths of a span where `left` graphemes are left: it is cut there.
    fn lengths(&self, op: Op, left: usize) -> Vec<(usize, f64)> {
        let OpSettings { mean, max, .. } = self.settings.op(op);
        let shortest = 1 + usize::from(op == Op::Reversal);
        let stop = 1.0 / (mean - (shortest - 1) as f64);
        let mut found: BTreeMap<usize, f64> = BTreeMap::new();
        for length in shortest..=max {
            let reached = (1.0 - stop).powf((length - shortest) as f64);
            let p = if length == max { reached } else { reached * stop };
            *found.entry(length.min(left)).or_default() += p;
        }
        found.into_iter().collect()
    }

    /// What an insertion of so many symbols can put where the text goes on with `rest`.
    fn inserted<'t>(&self, symbols: usize, rest: &'t str) -> Vec<(&'t str, f64)> {
        if symbols == 0 {
            return vec![(rest, 1.0)];
        }
        let total: f64 = self.symbols.values().map(|weight| f64::from(*weight)).sum();
        let begins = self.symbols.iter().filter(|(symbol, _)| rest.starts_with(symbol.as_str()));
        begins
            .flat_map(|(symbol, weight)| {
                let after = self.inserted(symbols - 1, &rest[symbol.len()..]);
                after.into_iter().map(move |(rest, p)| (rest, p * f64::from(*weight) / total))
            })
            .collect()
    }

    fn substituted(&self, grapheme: &str, symbol: &str) -> f64 {
        let others = self.symbols.iter().filter(|(other, _)| *other != grapheme);
        let total: f64 = others.clone().map(|(_, weight)| f64::from(*weight)).sum();
        let weight =
            if symbol == grapheme { 0.0 } else { self.symbols.get(symbol).map_or(0.0, |w| f64::from(*w)) };
        if total == 0.0 { f64::from(u8::from(symbol == grapheme)) } else { weight / total }
    }

    /// What the rows of the confusion table, of one grapheme each, put for grapheme `i`; none where there is no table.
    fn rows(&self, i: usize) -> Option<Vec<(String, f64)>> {
        let Some(ConfusionChoice::Rows(rows)) = &self.settings.confusions else { return None };
        let matching = rows.iter().filter(|row| row.from == self.original[i]);
        let total: f64 = matching.clone().map(|row| f64::from(row.weight)).sum();
        Some(matching.map(|row| (row.to.clone(), f64::from(row.weight) / total)).collect())
    }

    /// From grapheme `i` on, where the corrupted text goes on with `rest`.
    fn walk(&mut self, i: usize, rest: &str) -> Mass {
        if let Some(known) = self.known.get(&(i, rest.len())) {
            return *known;
        }
        let n = self.original.len();
        // The best path draws each insertion in all its ways at once.
        let mut inserted: BTreeMap<usize, f64> = BTreeMap::new();
        for (length, p_length) in self.lengths(Op::Insertion, usize::MAX) {
            for (after, p_symbols) in self.inserted(length, rest) {
                *inserted.entry(after.len()).or_default() += p_length * p_symbols;
            }
        }
        let p_insertion = self.rate(Op::Insertion) * self.toll;
        let whole = Mass { sum: 1.0, best: 1.0 };
        let mut found = Mass::default();
        if i == n {
            match inserted.get(&0) {
                _ if rest.is_empty() => found.add(1.0 - self.rate(Op::Insertion), whole),
                Some(all) => found.add(p_insertion * all, whole),
                None => {}
            }
            return found;
        }
        for (left, p_drawn) in inserted {
            if let Some(after) = rest[rest.len() - left..].strip_prefix(self.original[i]) {
                found.add(p_insertion * p_drawn, self.walk(i + 1, after));
            }
        }
        let rows = self.rows(i);
        for (to, p_row) in rows.iter().flatten() {
            if let Some(after) = rest.strip_prefix(to.as_str()) {
                found.add(self.rate(Op::Substitution) * self.toll * p_row, self.walk(i + 1, after));
            }
        }
        if let Some(after) = rest.strip_prefix(self.original[i]) {
            let mut copy = 1.0 - Op::ALL.into_iter().map(|op| self.rate(op)).sum::<f64>();
            // Where no row matches, what is tried does nothing.
            if rows.as_ref().is_some_and(Vec::is_empty) {
                copy += self.rate(Op::Substitution);
            }
            found.add(copy, self.walk(i + 1, after));
        }
        for op in [Op::Deletion, Op::Substitution, Op::Duplication, Op::Reversal] {
            if op == Op::Substitution && rows.is_some() {
                continue;
            }
            for (length, p_length) in self.lengths(op, n - i) {
                let p = self.rate(op) * self.toll * p_length;
                let span = self.original[i..i + length].to_vec();
                let on = match op {
                    Op::Deletion => self.walk(i + length, rest),
                    Op::Substitution => self.substitute(i, &span, rest),
                    _ => {
                        let emitted = match op {
                            Op::Duplication => span.concat().repeat(2),
                            _ => span.iter().rev().copied().collect(),
                        };
                        match rest.strip_prefix(emitted.as_str()) {
                            Some(after) => self.walk(i + length, after),
                            None => continue,
                        }
                    }
                };
                found.add(p, on);
            }
        }
        self.known.insert((i, rest.len()), found);
        found
    }

    fn substitute(&mut self, i: usize, span: &[&str], rest: &str) -> Mass {
        let Some((first, others)) = span.split_first() else { return self.walk(i, rest) };
        let mut symbols: Vec<String> = self.symbols.keys().cloned().collect();
        if !symbols.iter().any(|symbol| symbol == first) {
            symbols.push((*first).to_owned());
        }
        let mut found = Mass::default();
        for symbol in symbols {
            if let Some(after) = rest.strip_prefix(symbol.as_str()) {
                let p = self.substituted(first, &symbol);
                if p > 0.0 {
                    found.add(p, self.substitute(i + 1, others, after));
                }
            }
        }
        found
    }
}

/// An original: sum and maximum of its weighted paths.
struct Weighted {
    original: String,
    sum: f64,
    best: f64,
}

/// Every original of at most `longest` units that can have become `corrupted`.
fn enumerate(
    settings: &CorruptSettings,
    units: &[&str],
    prior: &Bigrams,
    weights: Weights,
    corrupted: &str,
    longest: usize,
) -> Vec<Weighted> {
    let AlphabetChoice::Weighted(WeightedAlphabet { symbols, .. }) = &settings.alphabet else {
        unreachable!()
    };
    let mut found = Vec::new();
    let mut texts = vec![String::new()];
    for length in 0..=longest {
        for text in &texts {
            let original: Vec<&str> = graphemes(text).collect();
            // A concatenation of units that join is another text of fewer graphemes.
            if original.len() != length || original.iter().any(|unit| !units.contains(unit)) {
                continue;
            }
            let (mut sum, mut best) = (0.0, 0.0f64);
            let level_weight = (1.0 - settings.clean_share) / settings.levels.len() as f64;
            for level in &settings.levels {
                let toll = (-weights.event_penalty).exp();
                let original = original.clone();
                let known = BTreeMap::new();
                let mut paths = Paths { settings, symbols, original, level: *level, toll, known };
                let of_level = paths.walk(0, corrupted);
                sum += level_weight * of_level.sum;
                best = best.max(level_weight * of_level.best);
            }
            if text == corrupted {
                let clean = settings.clean_share * weights.clean.exp();
                sum += clean;
                best = best.max(clean);
            }
            let of_prior = (weights.prior * prior.ln_text(text)).exp();
            if sum * of_prior > 0.0 {
                found.push(Weighted { original: text.clone(), sum: sum * of_prior, best: best * of_prior });
            }
        }
        texts = texts.iter().flat_map(|text| units.iter().map(move |unit| format!("{text}{unit}"))).collect();
    }
    found
}

/// A bound of the weight of all originals of more than `longest` units, whatever they become of at most `emitted` units.
///
/// All but `emitted` units are deleted then. Every deletion of l units is worth z^l, so that the sum over all paths is at most
/// (1 + rate · Σ P(l) (z^l − 1))^n where n units are read (Chernoff 1952), for every z.
fn bound(case: &Case, prior: &Bigrams, weights: Weights) -> f64 {
    let units = |last: u8| -> f64 {
        // Over all ways to begin a unit; the rest of it is less probable.
        let begins =
            case.units.iter().map(|unit| unit.as_bytes()[0]).collect::<std::collections::BTreeSet<_>>();
        let same = |first: u8| case.units.iter().filter(|unit| unit.as_bytes()[0] == first).count() as f64;
        begins
            .iter()
            .map(|first| same(*first) * (weights.prior * f64::from(prior.ln(last, *first))).exp())
            .sum()
    };
    let growth = (0..=255).map(units).fold(0.0, f64::max);
    let OpSettings { rate, mean, max, .. } = case.settings.deletion;
    let rate = rate * case.settings.levels.iter().copied().fold(0.0, f64::max);
    let emitted = case.corrupted.chars().count();
    let of = |n: usize, z: f64| -> f64 {
        let stop = 1.0 / mean;
        let at = |l: usize| (1.0 - stop).powf(l as f64 - 1.0) * (z.powf(l as f64) - 1.0);
        let deletions: f64 = rate * (1..=max).map(at).sum::<f64>();
        (growth * (1.0 + deletions)).powf(n as f64) * z.powf(emitted as f64 - n as f64)
    };
    let best = |n: usize| (0..40).map(|k| of(n, 1.6f64.powi(k))).fold(f64::INFINITY, f64::min);
    (case.longest + 1..case.longest + 200).map(best).sum()
}

/// What a case is made of.
struct Case {
    name: &'static str,
    settings: CorruptSettings,
    units: Vec<&'static str>,
    corrupted: &'static str,
    /// Units of the longest original that is enumerated.
    longest: usize,
}

fn settings(rates: [f64; 5], symbols: &[(&str, u32)]) -> CorruptSettings {
    let symbols = symbols.iter().map(|(symbol, weight)| ((*symbol).to_owned(), *weight)).collect();
    let mut settings = CorruptSettings {
        levels: vec![0.5, 1.5],
        clean_share: 0.2,
        alphabet: AlphabetChoice::Weighted(WeightedAlphabet { symbols, ..WeightedAlphabet::default() }),
        ..CorruptSettings::default()
    };
    for (op, rate) in Op::ALL.into_iter().zip(rates) {
        *settings.op_mut(op) = OpSettings::new(rate, if op == Op::Reversal { 2.5 } else { 1.4 }, 3);
    }
    settings.deletion = OpSettings::new(rates[Op::Deletion as usize], 1.1, 2);
    settings
}

fn cases() -> Vec<Case> {
    let ab = [("a", 2), ("b", 1)];
    let all = settings([1e-4, 0.06, 0.05, 0.04, 0.06], &ab);
    let case = |name, settings: &CorruptSettings, units: &[&'static str], corrupted, longest| Case {
        name,
        settings: settings.clone(),
        units: units.to_vec(),
        corrupted,
        longest,
    };
    let accents = settings([1e-6, 0.05, 0.05, 0.04, 0.06], &[("a", 1), ("\u{301}", 1)]);
    let mut loud = all.clone();
    (loud.levels, loud.clean_share) = (vec![1.0], 0.0);
    let row =
        |from: &str, to: &str, weight| ConfusionRow { from: from.to_owned(), to: to.to_owned(), weight };
    let confused = |rows: &[ConfusionRow]| CorruptSettings {
        confusions: Some(ConfusionChoice::Rows(rows.to_vec())),
        ..all.clone()
    };
    let both = confused(&[row("a", "b", 2), row("a", "bb", 1), row("b", "a", 1), row("b", "é", 3)]);
    let one = confused(&[row("a", "ba", 2), row("a", "b", 1)]);
    vec![
        case("confusions", &both, &["a", "b"], "bba", 9),
        case("confusions that spare", &one, &["a", "b"], "bab", 9),
        case("empty", &all, &["a", "b"], "", 6),
        case("one", &all, &["a", "b"], "b", 8),
        case("repeated", &all, &["a", "b"], "abab", 11),
        case("palindrome", &all, &["a", "b"], "aba", 10),
        case("never clean", &loud, &["a", "b"], "baab", 11),
        case("joined", &accents, &["a", "a\u{301}", "\u{301}"], "a\u{301}a", 8),
        case("foreign", &all, &["a", "é"], "éa", 9),
    ]
}

#[test]
fn the_decoder_finds_the_maximum_and_its_shares_are_exact() {
    for case in cases() {
        let Case { name, ref settings, ref units, corrupted, longest } = case;
        for weights in [
            Weights { prior: 1.0, event_penalty: 0.0, clean: 0.0, suspicion: 0.0 },
            Weights { prior: 0.6, event_penalty: 0.0, clean: -0.5, suspicion: 0.0 },
            Weights { prior: 1.3, event_penalty: 0.7, clean: 1.1, suspicion: 0.0 },
        ] {
            let prior = Bigrams::new(units, 0.3);
            let all = enumerate(settings, units, &prior, weights, corrupted, longest);
            let total: f64 = all.iter().map(|one| one.sum).sum();
            let missed = bound(&case, &prior, weights) / total;
            assert!(missed < 1e-12, "{name}, {weights:?}: {missed}");
            let model = ChannelModel::new(
                ChannelLaw::new(settings).unwrap(),
                Units::new(units.iter().copied()),
                weights,
            )
            .unwrap();
            let window =
                Window { text: corrupted, starts: true, ends: true, protected: &[], clean: weights.clean };
            let beam = Beam::unbounded(longest);
            let posterior = Posterior { others: 1e-11, ..Posterior::unbounded() };
            let (model, beam, posterior) = (&model, &beam, &posterior);
            let decode = |asking| async move { decode(model, &asking, beam, posterior, window, "", 0).await };
            let Decoded { parts, ln_best, ln_total, evidence } =
                Asker::new(&prior, decode).finish(&prior).unwrap();
            let case = format!("{name}, {weights:?}");
            let best = all.iter().max_by(|a, b| a.best.total_cmp(&b.best)).unwrap();
            assert!((ln_best - best.best.ln()).abs() < 1e-9, "{case}: {ln_best} not {}", best.best.ln());
            assert!((ln_total - total.ln()).abs() < 1e-9, "{case}: {ln_total} not {}", total.ln());
            let clean =
                settings.clean_share * weights.clean.exp() * (weights.prior * prior.ln_text(corrupted)).exp();
            assert!(
                (evidence.share - clean / total).abs() < 1e-9,
                "{case}: {evidence:?} not {}",
                clean / total
            );
            assert!(
                clean == 0.0 || (evidence.gap - (ln_best - clean.ln())).abs() < 1e-9,
                "{case}: {evidence:?}"
            );
            let restored = match parts.as_slice() {
                [] => corrupted.to_owned(),
                [part] => corruptor::apply_edits(corrupted, &part.edits).unwrap(),
                _ => panic!("{case}: one part"),
            };
            assert_eq!(restored, best.original, "{case}");
            for original in parts.iter().flat_map(|part| &part.originals) {
                let share =
                    all.iter().find(|one| one.original == original.text).map_or(0.0, |one| one.sum) / total;
                assert!((original.share - share).abs() < 1e-9, "{case}: {original:?} not {share}");
            }
            for (edit, found) in parts.iter().flat_map(|part| part.edits.iter().zip(&part.shares)) {
                let has = |one: &&Weighted| {
                    align(corrupted, &one.original).iter().any(|event| {
                        (event.start as usize, (event.start + event.length) as usize, &event.replacement)
                            == (edit.start, edit.end, &edit.replacement)
                    })
                };
                let share = all.iter().filter(has).map(|one| one.sum).sum::<f64>() / total;
                assert!((found - share).abs() < 1e-9, "{case}: {edit:?} not {share}");
            }
        }
    }
}
