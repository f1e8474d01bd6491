//! A corrupted text as the channel's transitions meet it: where units end, and what can have been inserted, doubled or reversed.

use std::ops::Range;

use corruptor::{ChannelLaw, Op, graphemes};

use super::confused::Confused;
use super::joins::{Joins, Tail};
use super::model::ChannelModel;

/// Prefixes of a long grapheme that count as units by themselves.
const MOST_PREFIXES: usize = 16;
/// Ways of cutting the same place into spans that are looked at.
const MOST_SPANS: usize = 256;

/// A text, where its window is, and what must not be touched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'t> {
    pub(super) text: &'t str,
    /// Whether the text starts here, or goes on from something unknown.
    pub(super) starts: bool,
    /// Whether the text ends here.
    pub(super) ends: bool,
    /// Bytes that can only have been copied: sorted, without overlap.
    pub(super) protected: &'t [Range<usize>],
    /// What the text is given for being clean, in nats.
    pub(super) clean: f64,
}

/// An event that emits known graphemes of the original in another number or order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) op: Op,
    /// The graphemes that were consumed, in [`Observed::strings`].
    pub(super) text: Span,
    /// The first of them.
    pub(super) first: Span,
    /// The last of them.
    pub(super) tail: Tail,
    /// Where the corrupted text goes on.
    pub(super) to: usize,
    /// ln of the probability of the span's length, if the original goes on after it, and if the end cuts it there.
    pub(super) ln: [f64; 2],
}

/// A range of [`Observed::strings`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn of(range: Range<usize>) -> Self {
        Self { start: range.start as u32, end: range.end as u32 }
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// What a text offers to a search.
#[derive(Debug)]
pub(super) struct Observed<'t> {
    pub(super) window: Window<'t>,
    /// The text, then everything else that originals are made of.
    pub(super) strings: String,
    pub(super) joins: Joins,
    law: &'t ChannelLaw,
    confused: &'t [Confused],
    longest: usize,
    /// Whether a byte is protected, and whether one may be put in before it.
    is_protected: Vec<bool>,
    is_closed: Vec<bool>,
}

impl<'t> Observed<'t> {
    /// `longest`: most graphemes of a span that is looked for.
    pub(super) fn new(window: Window<'t>, model: &'t ChannelModel, longest: usize) -> Self {
        let text = window.text;
        let mut is_protected = vec![false; text.len() + 1];
        let mut is_closed = vec![false; text.len() + 1];
        for range in window.protected {
            is_protected[range.clone()].fill(true);
            is_closed[(range.start + 1).min(range.end)..range.end].fill(true);
        }
        let joins = Joins::default();
        Self {
            window,
            strings: text.to_owned(),
            joins,
            law: &model.law,
            confused: &model.confused.rows,
            longest,
            is_protected,
            is_closed,
        }
    }

    pub(super) fn string(&self, span: Span) -> &str {
        &self.strings[span.start as usize..span.end as usize]
    }

    /// Adds a string that originals are made of.
    pub(super) fn intern(&mut self, text: &str) -> Span {
        let start = self.strings.len();
        self.strings.push_str(text);
        Span::of(start..self.strings.len())
    }

    /// Whether something can be missing before byte `at`.
    pub(super) fn is_open(&self, at: usize) -> bool {
        !self.is_closed[at]
    }

    /// Whether none of the bytes is protected.
    pub(super) fn is_free(&self, range: Range<usize>) -> bool {
        self.window.protected.is_empty() || !self.is_protected[range].contains(&true)
    }

    /// Ends of the units with which the text goes on at byte `at`: its grapheme, and what begins that and is one itself.
    pub(super) fn units(&self, at: usize, ends: &mut Vec<usize>) {
        ends.clear();
        let text = self.window.text;
        let bytes = text.as_bytes();
        match bytes[at..] {
            [] => {}
            [b'\n' | b' '..=b'~'] | [b'\n' | b' '..=b'~', 0..128, ..] => ends.push(at + 1),
            _ => {
                let whole = at + graphemes(&text[at..]).next().map_or(0, str::len);
                let chars = text[at..whole].char_indices().skip(1).map(|(offset, _)| at + offset);
                if text[at..whole].chars().nth(MOST_PREFIXES).is_none() {
                    ends.extend(chars.filter(|end| graphemes(&text[at..*end]).nth(1).is_none()));
                }
                ends.push(whole);
            }
        }
    }

    /// What can have been inserted at byte `at`: where it ends, and ln of the probability of its length and symbols, summed over the
    /// ways of drawing it.
    pub(super) fn insertions(&self, at: usize, found: &mut Vec<(usize, f64)>) {
        found.clear();
        if self.law.event(Op::Insertion, 1.0) == 0.0 || !self.is_open(at) {
            return;
        }
        let lengths = self.law.length(Op::Insertion);
        let longest = lengths.longest().unwrap_or(usize::MAX).min(self.longest);
        let mut reached = vec![(at, 1.0)];
        for length in 1..=longest {
            let mut next: Vec<(usize, f64)> = Vec::with_capacity(reached.len());
            for (from, mass) in reached {
                for (bytes, p) in self.law.insertion(&self.window.text[from..]) {
                    if self.is_free(from..from + bytes) {
                        add(&mut next, from + bytes, mass * p);
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            let p = lengths.probability(length);
            for (to, mass) in &next {
                add(found, *to, p * mass);
            }
            reached = next;
        }
        found.retain(|(_, mass)| *mass > 0.0);
        for (_, mass) in found.iter_mut() {
            *mass = mass.ln();
        }
    }

    /// Duplications, reversals and confusions that can have put what stands at byte `at`.
    pub(super) fn moves(&mut self, at: usize, found: &mut Vec<Move>) {
        found.clear();
        self.confusions(at, found);
        let rate = |op| self.law.event(op, 1.0) > 0.0;
        let (doubles, reverses) = (rate(Op::Duplication), rate(Op::Reversal));
        if !doubles && !reverses || !self.is_open(at) {
            return;
        }
        let (law, most) = (self.law, self.longest);
        let longest = |op: Op| law.length(op).longest().unwrap_or(usize::MAX).min(most);
        let depth = longest(Op::Duplication).max(longest(Op::Reversal));
        let mut ends = Vec::new();
        // Units from `at` on, as their ends.
        let mut paths: Vec<Vec<usize>> = vec![Vec::new()];
        let mut looked_at = 0;
        while let Some(path) = paths.pop() {
            let from = path.last().copied().unwrap_or(at);
            if path.len() == depth || looked_at == MOST_SPANS {
                continue;
            }
            self.units(from, &mut ends);
            for end in ends.clone().into_iter().rev() {
                if !self.is_free(from..end) {
                    continue;
                }
                let mut path = path.clone();
                path.push(end);
                looked_at += 1;
                if doubles && path.len() <= longest(Op::Duplication) {
                    self.doubled(at, &path, found);
                }
                if reverses && path.len() <= longest(Op::Reversal) {
                    self.reversed(at, &path, found);
                }
                paths.push(path);
            }
        }
    }

    /// Rows of the confusion table.
    fn confusions(&mut self, at: usize, found: &mut Vec<Move>) {
        let rest = &self.window.text[at..];
        for Confused { from, to, ln } in self.confused {
            let end = at + to.len();
            let mut units = graphemes(from);
            let Some(first) = units.next().filter(|_| rest.starts_with(to.as_str()) && self.is_free(at..end))
            else {
                continue;
            };
            let tail = self.joins.tail(units.next_back().unwrap_or(first));
            let text = self.intern(from);
            let first = Span { start: text.start, end: text.start + first.len() as u32 };
            found.push(Move { op: Op::Substitution, text, first, tail, to: end, ln: [*ln; 2] });
        }
    }

    fn lengths(&self, op: Op, units: usize) -> [f64; 2] {
        let lengths = self.law.length(op);
        [lengths.probability(units).ln(), lengths.at_least(units).ln()]
    }

    fn doubled(&mut self, at: usize, path: &[usize], found: &mut Vec<Move>) {
        let Some(&end) = path.last() else { return };
        let bytes = self.window.text.as_bytes();
        let to = end + (end - at);
        if to > bytes.len() || bytes[at..end] != bytes[end..to] || !self.is_free(end..to) {
            return;
        }
        let Some((first, tail)) = self.in_order(at, path) else { return };
        let (op, text) = (Op::Duplication, Span::of(at..end));
        found.push(Move { op, text, first, tail, to, ln: self.lengths(op, path.len()) });
    }

    /// The first unit and the tail of units that stand in the text one after the other; none if one joins its predecessor.
    fn in_order(&mut self, at: usize, path: &[usize]) -> Option<(Span, Tail)> {
        let text = self.window.text;
        let mut tail = Tail::BREAK;
        let mut start = at;
        for &end in path {
            if self.joins.joins(tail, &text[start..end]) {
                return None;
            }
            tail = self.joins.tail(&text[start..end]);
            start = end;
        }
        Some((Span::of(at..path[0]), tail))
    }

    fn reversed(&mut self, at: usize, path: &[usize], found: &mut Vec<Move>) {
        let text = self.window.text;
        let starts = std::iter::once(at).chain(path.iter().copied());
        let units: Vec<&str> = starts.zip(path).map(|(start, end)| &text[start..*end]).collect();
        let mut tail = Tail::BREAK;
        for unit in units.iter().rev() {
            if self.joins.joins(tail, unit) {
                return;
            }
            tail = self.joins.tail(unit);
        }
        let (Some(last), Some(&to)) = (units.last(), path.last()) else { return };
        let op = Op::Reversal;
        let ln = self.lengths(op, path.len());
        // A single grapheme stands for a span that the end has cut.
        if path.len() == 1 && !(self.window.ends && ln[1] > f64::NEG_INFINITY) {
            return;
        }
        let reversed: String = units.iter().rev().copied().collect();
        let text = self.intern(&reversed);
        let first = Span { start: text.start, end: text.start + last.len() as u32 };
        found.push(Move { op, text, first, tail, to, ln });
    }
}

fn add(sums: &mut Vec<(usize, f64)>, key: usize, mass: f64) {
    match sums.iter_mut().find(|(known, _)| *known == key) {
        Some((_, sum)) => *sum += mass,
        None => sums.push((key, mass)),
    }
}
