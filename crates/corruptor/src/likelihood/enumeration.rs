//! The channel by enumeration of all its paths, written from its definition alone, to hold the dynamic program against.

use std::collections::BTreeMap;

use super::Likelihood;
use crate::alphabet::{AlphabetChoice, WeightedAlphabet};
use crate::channel::Channel;
use crate::confusion::{ConfusionChoice, ConfusionRow};
use crate::event::{Event, replay};
use crate::grapheme::graphemes;
use crate::op::Op;
use crate::random::RecordStream;
use crate::settings::{CorruptSettings, OpSettings};

/// Characters that the enumeration lets an escape emit.
const ESCAPED: [&str; 2] = ["a", "b"];

/// The probability of a path through the channel, and its log.
type Path = (f64, Vec<Event>);

/// All that can become of one text.
struct Enumeration<'a> {
    settings: &'a CorruptSettings,
    text: Vec<&'a str>,
    level: f64,
    /// Output → its probability, and those of its paths with their logs.
    found: BTreeMap<String, (f64, Vec<Path>)>,
    /// Longest insertion that is enumerated beyond the maximum.
    tail: usize,
}

fn enumerate<'a>(settings: &'a CorruptSettings, text: &'a str, tail: usize) -> Enumeration<'a> {
    let weight = (1.0 - settings.clean_share) / settings.levels.len() as f64;
    let text_graphemes = graphemes(text).collect();
    let mut all = Enumeration { settings, text: text_graphemes, level: 0.0, found: BTreeMap::new(), tail };
    if settings.clean_share > 0.0 {
        all.found.insert(text.to_owned(), (settings.clean_share, vec![(settings.clean_share, Vec::new())]));
    }
    for level in &settings.levels {
        all.level = *level;
        all.walk(0, String::new(), weight, Vec::new());
    }
    all
}

impl Enumeration<'_> {
    fn walk(&mut self, i: usize, out: String, p: f64, log: Vec<Event>) {
        if p == 0.0 {
            return;
        }
        let n = self.text.len();
        if i > n {
            let found = self.found.entry(out).or_default();
            found.0 += p;
            found.1.push((p, log));
            return;
        }
        let (settings, level) = (self.settings, self.level);
        let rate = |op: Op| settings.op(op).rate * level;
        if i == n {
            self.walk(n + 1, out.clone(), p * (1.0 - rate(Op::Insertion)), log.clone());
        } else {
            let mut copy = 1.0 - Op::ALL.into_iter().map(rate).sum::<f64>();
            if settings.confusions.is_some() && self.matching(i).is_empty() {
                copy += rate(Op::Substitution);
            }
            self.walk(i + 1, format!("{out}{}", self.text[i]), p * copy, log.clone());
        }
        let p_insertion = p * rate(Op::Insertion);
        for (length, p_length) in self.lengths(Op::Insertion, usize::MAX) {
            for (symbols, p_symbols) in self.draws(&vec![None; length]) {
                let next = self.text.get(i).copied().unwrap_or("");
                let log = self.logged(&log, Op::Insertion, i, i, &symbols);
                self.walk(i + 1, format!("{out}{symbols}{next}"), p_insertion * p_length * p_symbols, log);
            }
        }
        if i == n {
            return;
        }
        for op in [Op::Deletion, Op::Substitution, Op::Duplication, Op::Reversal] {
            let p = p * rate(op);
            if op == Op::Substitution && self.settings.confusions.is_some() {
                self.confuse(i, &out, p, &log);
                continue;
            }
            for (length, p_length) in self.lengths(op, n - i) {
                let span: Vec<&str> = self.text[i..i + length].to_vec();
                let emitted = match op {
                    Op::Deletion => vec![(String::new(), 1.0)],
                    Op::Substitution => self.draws(&span.iter().map(|g| Some(*g)).collect::<Vec<_>>()),
                    Op::Duplication => vec![(span.concat().repeat(2), 1.0)],
                    _ => vec![(span.iter().rev().copied().collect(), 1.0)],
                };
                for (emitted, p_emitted) in emitted {
                    let log = self.logged(&log, op, i, i + length, &emitted);
                    self.walk(i + length, format!("{out}{emitted}"), p * p_length * p_emitted, log);
                }
            }
        }
    }

    /// The rows of the confusion table that match at `i`, with the graphemes that they consume.
    fn matching(&self, i: usize) -> Vec<(usize, ConfusionRow)> {
        let Some(ConfusionChoice::Rows(rows)) = &self.settings.confusions else { unreachable!() };
        let consumed = |row: &ConfusionRow| {
            let from: Vec<&str> = graphemes(&row.from).collect();
            self.text[i..].starts_with(&from).then_some(from.len())
        };
        rows.iter().filter_map(|row| Some((consumed(row)?, row.clone()))).collect()
    }

    fn confuse(&mut self, i: usize, out: &str, p: f64, log: &[Event]) {
        let matching = self.matching(i);
        let total: f64 = matching.iter().map(|(_, row)| f64::from(row.weight)).sum();
        for (length, row) in matching {
            let log = self.logged(log, Op::Substitution, i, i + length, &row.to);
            self.walk(i + length, format!("{out}{}", row.to), p * f64::from(row.weight) / total, log);
        }
    }

    fn logged(&self, log: &[Event], op: Op, from: usize, to: usize, emitted: &str) -> Vec<Event> {
        let removed = self.text[from..to].concat();
        let start = self.text[..from].concat().len() as u32;
        let mut log = log.to_vec();
        if removed != emitted {
            let (length, replacement) = (removed.len() as u32, emitted.to_owned());
            log.push(Event { op: op.into(), start, length, removed, replacement });
        }
        log
    }

    /// Lengths with their probabilities; from `left` on they are cut there.
    fn lengths(&self, op: Op, left: usize) -> Vec<(usize, f64)> {
        let OpSettings { mean, max, tail, .. } = self.settings.op(op);
        let offset = usize::from(op == Op::Reversal);
        let stop = 1.0 / (mean - offset as f64);
        let (mut found, mut reached, mut length) = (Vec::new(), 1.0, 1 + offset);
        loop {
            if length >= left {
                found.push((left, reached));
                return found;
            }
            let goes_on = if length < max { 1.0 - stop } else { tail };
            found.push((length, reached * (1.0 - goes_on)));
            reached *= goes_on;
            length += 1;
            if reached == 0.0 || length > max + self.tail && left == usize::MAX {
                return found;
            }
        }
    }

    /// All symbols that can be drawn for each place: for an insertion (`None`) or unlike a grapheme.
    fn draws(&self, places: &[Option<&str>]) -> Vec<(String, f64)> {
        let Some((first, others)) = places.split_first() else { return vec![(String::new(), 1.0)] };
        let rest = self.draws(others);
        let mut found = Vec::new();
        for (symbol, p) in self.symbols(*first) {
            found.extend(rest.iter().map(|(others, q)| (format!("{symbol}{others}"), p * q)));
        }
        found
    }

    fn symbols(&self, unlike: Option<&str>) -> Vec<(String, f64)> {
        let AlphabetChoice::Weighted(alphabet) = &self.settings.alphabet else { unreachable!() };
        let escape = self.settings.escape;
        let mut found: Vec<(String, f64)> = Vec::new();
        let mut add = |table: &BTreeMap<String, u32>, share: f64| {
            let others = || table.iter().filter(|(symbol, _)| Some(symbol.as_str()) != unlike);
            let total: f64 = others().map(|(_, weight)| f64::from(*weight)).sum();
            found.extend(others().map(|(s, w)| (s.clone(), (1.0 - escape) * share * f64::from(*w) / total)));
        };
        let others = alphabet.symbols.keys().any(|symbol| Some(symbol.as_str()) != unlike);
        let backoff = if others { f64::from(alphabet.backoff) } else { 0.0 };
        match unlike.map(|grapheme| alphabet.rows.get(grapheme)) {
            None => add(&alphabet.symbols, 1.0),
            Some(Some(row)) => {
                let weight: f64 = row.values().map(|weight| f64::from(*weight)).sum();
                add(row, weight / (weight + backoff));
                add(&alphabet.symbols, backoff / (weight + backoff));
            }
            Some(None) if others && (alphabet.rows.is_empty() || backoff > 0.0) => {
                add(&alphabet.symbols, 1.0);
            }
            Some(None) => found.push((unlike.unwrap_or_default().to_owned(), 1.0 - escape)),
        }
        if escape > 0.0 {
            found.extend(ESCAPED.map(|c| (c.to_owned(), escape * (1.0 / 512.0f64).powf(c.len() as f64))));
        }
        // However a symbol was drawn, it is one and the same.
        let mut merged: BTreeMap<String, f64> = BTreeMap::new();
        for (symbol, p) in found {
            *merged.entry(symbol).or_default() += p;
        }
        merged.into_iter().collect()
    }
}

fn table(symbols: &[(&str, u32)]) -> BTreeMap<String, u32> {
    symbols.iter().map(|(symbol, weight)| ((*symbol).to_owned(), *weight)).collect()
}

/// Rates of the five operations, spans of up to two graphemes, symbols that join what comes before them.
fn settings(rates: [f64; 5]) -> CorruptSettings {
    let mut settings = CorruptSettings {
        levels: vec![0.5, 1.5],
        clean_share: 0.2,
        alphabet: AlphabetChoice::Weighted(WeightedAlphabet {
            symbols: table(&[("a", 2), ("é", 1), ("\u{301}", 1)]),
            ..WeightedAlphabet::default()
        }),
        ..CorruptSettings::default()
    };
    for (op, rate) in Op::ALL.into_iter().zip(rates) {
        *settings.op_mut(op) = OpSettings::new(rate, if op == Op::Reversal { 2.4 } else { 1.4 }, 2);
    }
    settings.reversal.max = 3;
    settings.insertion.max = 1;
    settings
}

/// Every channel that the tests enumerate, with a text for it.
pub(super) fn cases() -> Vec<(&'static str, CorruptSettings, &'static str)> {
    let all = settings([0.1, 0.12, 0.08, 0.06, 0.11]);
    let mut longer = all.clone();
    longer.insertion.max = 3;
    let mut tails = settings([0.1, 0.12, 0.0, 0.06, 0.11]);
    for op in Op::ALL {
        tails.op_mut(op).tail = 0.3;
        tails.op_mut(op).max = if op == Op::Reversal { 2 } else { 1 };
    }
    let mut rows = settings([0.05, 0.3, 0.05, 0.0, 0.05]);
    let of_rows = |backoff| {
        AlphabetChoice::Weighted(WeightedAlphabet {
            symbols: table(&[("a", 1), ("b", 2)]),
            backoff,
            rows: [
                ("a".to_owned(), table(&[("é", 2), ("b", 1)])),
                ("e\u{301}".to_owned(), table(&[("a", 1)])),
            ]
            .into(),
        })
    };
    rows.alphabet = of_rows(0);
    let backoff = CorruptSettings { alphabet: of_rows(2), ..rows.clone() };
    let row = |from: &str, to: &str, weight| ConfusionRow { from: from.into(), to: to.into(), weight };
    let confusions = vec![
        row("ab", "m", 3),
        row("a", "", 1),
        row("b", "éa", 2),
        row("aa", "a", 1),
        row("b", "\u{301}", 1),
    ];
    let confusions = CorruptSettings {
        confusions: Some(ConfusionChoice::Rows(confusions)),
        ..settings([0.1, 0.3, 0.05, 0.1, 0.1])
    };
    let escape = CorruptSettings {
        escape: 0.2,
        alphabet: AlphabetChoice::Weighted(WeightedAlphabet {
            symbols: table(&[("a", 2), ("b", 1)]),
            ..WeightedAlphabet::default()
        }),
        ..settings([0.1, 0.12, 0.08, 0.06, 0.0])
    };
    let only = CorruptSettings {
        alphabet: AlphabetChoice::Weighted(WeightedAlphabet {
            symbols: table(&[("a", 1)]),
            rows: [("b".to_owned(), table(&[("c", 1)]))].into(),
            backoff: 1,
        }),
        ..settings([0.1, 0.3, 0.1, 0.0, 0.0])
    };
    let never_copied = settings([0.2, 0.2, 2.0 / 3.0 - 0.6, 0.1, 0.1]);
    vec![
        ("all, at the empty text", longer.clone(), ""),
        ("all, short", longer, "a"),
        ("all, repeated", all.clone(), "aaé"),
        ("all, joined", all, "be\u{301}a"),
        ("tails", tails.clone(), "abaé"),
        ("tails, repeated", tails, "aaaa"),
        ("rows", rows, "abe\u{301}"),
        ("rows with backoff", backoff, "ab"),
        ("confusions", confusions.clone(), "aab"),
        ("confusions, unmatched", confusions, "cb"),
        ("escape", escape, "ab"),
        ("the only symbol", only, "ab"),
        ("nothing is copied at level 1.5", never_copied, "aé"),
    ]
}

/// What can become of `text`, without tails.
pub(super) fn outputs(settings: &CorruptSettings, text: &str) -> Vec<String> {
    enumerate(settings, text, 0).found.into_keys().collect()
}

#[test]
fn probabilities_are_those_of_all_paths() {
    for (name, settings, text) in cases() {
        let likelihood = Likelihood::new(&settings).unwrap();
        let all = enumerate(&settings, text, 0);
        let mut total = 0.0;
        for (output, (p, _)) in &all.found {
            let score = likelihood.score(text, output);
            total += score.ln_probability.exp();
            let error = (score.ln_probability - p.ln()).abs();
            assert!(
                error < 1e-12 * (1.0 + p.ln().abs()),
                "{name}: {output:?}: {} not {}",
                score.ln_probability,
                p.ln()
            );
            let levels = score.clean + score.levels.iter().sum::<f64>();
            assert!((levels - 1.0).abs() < 1e-9, "{name}: {levels}");
            assert_eq!(score.first_impossible, None);
        }
        if settings.escape == 0.0 {
            assert!((total - 1.0).abs() < 1e-9, "{name}: {total}");
        }
    }
}

#[test]
fn tails_of_insertions_go_on() {
    let mut settings = settings([0.0, 0.0, 0.3, 0.0, 0.0]);
    settings.insertion = OpSettings { rate: 0.3, mean: 1.3, max: 2, tail: 0.4 };
    let likelihood = Likelihood::new(&settings).unwrap();
    let all = enumerate(&settings, "a", 4);
    // Longer insertions than those enumerated can only make outputs of more bytes.
    for (output, (p, _)) in all.found.iter().filter(|(output, _)| output.len() <= 7) {
        let error = (likelihood.score("a", output).ln_probability - p.ln()).abs();
        assert!(error < 1e-11, "{output:?}: {error}");
    }
}

#[test]
fn explanations_are_the_best_paths() {
    for (name, settings, text) in cases() {
        let likelihood = Likelihood::new(&settings).unwrap();
        for (output, (_, paths)) in &enumerate(&settings, text, 0).found {
            let explanation = likelihood.explain(text, output).unwrap();
            let best = paths.iter().map(|(p, _)| *p).fold(0.0, f64::max);
            assert!(
                (explanation.ln_probability - best.ln()).abs() < 1e-9,
                "{name}: {output:?}: {explanation:?}"
            );
            let is_best = |(p, log): &Path| *p > best * (1.0 - 1e-8) && *log == explanation.events;
            assert!(paths.iter().any(is_best), "{name}: {output:?}: {explanation:?}");
            assert_eq!(&replay(text, &explanation.events).unwrap(), output, "{name}");
        }
    }
}

#[test]
fn samples_are_as_frequent_as_they_are_probable() {
    const DRAWS: u32 = 60_000;
    for (name, settings, text) in cases() {
        let Ok(channel) = Channel::new(&settings) else { continue };
        let likelihood = Likelihood::new(&settings).unwrap();
        let mut stream = RecordStream::for_purpose(11, name);
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..DRAWS {
            let output = match channel.draw_level(&mut stream) {
                None => text.to_owned(),
                Some(level) => channel.corrupt(text, level, &mut stream).text,
            };
            *counts.entry(output).or_default() += 1;
        }
        let (mut chi_square, mut degrees) = (0.0, 0.0);
        for (output, count) in counts {
            let expected = f64::from(DRAWS) * likelihood.score(text, &output).ln_probability.exp();
            assert!(expected > 0.0, "{name}: {output:?} was sampled, but is impossible");
            if expected >= 10.0 {
                chi_square += (f64::from(count) - expected).powi(2) / expected;
                degrees += 1.0;
            }
        }
        assert!(
            chi_square < degrees + 5.0 * f64::sqrt(2.0 * degrees) + 5.0,
            "{name}: {chi_square} of {degrees}"
        );
    }
}

#[test]
fn the_first_impossible_byte_is_where_no_output_goes_on() {
    for (name, settings, text) in cases().into_iter().filter(|(_, settings, _)| settings.escape == 0.0) {
        let likelihood = Likelihood::new(&settings).unwrap();
        let outputs = enumerate(&settings, text, 0).found;
        let some = || outputs.keys().step_by(1 + outputs.len() / 40);
        let mut wrong: Vec<String> = some().map(|output| format!("{output}z")).collect();
        wrong.extend(some().map(|output| format!("z{output}")));
        wrong.extend(["è", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aèa", "b", ""].map(String::from));
        for corrupted in wrong.into_iter().filter(|corrupted| !outputs.contains_key(corrupted)) {
            let score = likelihood.score(text, &corrupted);
            assert!(score.ln_probability < f64::MIN, "{name}: {corrupted:?}");
            let agreeing =
                |output: &String| output.bytes().zip(corrupted.bytes()).take_while(|(a, b)| a == b).count();
            let expected = outputs.keys().map(agreeing).max();
            assert_eq!(score.first_impossible, expected, "{name}: {text:?} to {corrupted:?}");
            assert_eq!(likelihood.explain(text, &corrupted), None);
        }
    }
}
