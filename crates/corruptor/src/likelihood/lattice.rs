//! A pair as the dynamic program sees it: where the graphemes of the original stand in the corrupted text.

use std::collections::HashMap;
use std::ops::Range;

use super::emissions::{AsciiEmissions, Emissions};
use crate::grapheme::graphemes;
use crate::law::ChannelLaw;
use crate::op::Op;

/// An event whose emission the original determines: a duplication, a reversal, a row of a confusion table.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) op: Op,
    /// The position after what it consumes.
    pub(crate) to: usize,
    /// Bytes that it emits.
    pub(crate) emitted: usize,
    /// Its probability, given that an event of `op` starts here.
    pub(crate) p: f64,
    /// Where what it emits stands in the corrupted text: a range of [`Lattice::places_of`]; all of it for an empty emission.
    places: Range<usize>,
}

/// The graphemes of the original, and where they, and what events make of them, stand in the corrupted text.
#[derive(Clone, Debug)]
pub(crate) struct Lattice<'t> {
    pub(crate) original: &'t str,
    pub(crate) corrupted: &'t str,
    pub(crate) emissions: Emissions,
    /// Byte offset of each grapheme of the original, and of its end.
    starts: Vec<u32>,
    /// Index into `forms` of each grapheme of the original.
    form: Vec<u32>,
    forms: Vec<&'t str>,
    /// Byte offsets in the corrupted text at which a form stands.
    standing: Vec<Vec<u32>>,
    moves: Vec<Move>,
    /// The moves of position i are those from entry i to entry i + 1.
    moves_from: Vec<u32>,
    places: Vec<u32>,
    /// Whether a row of the confusion table matches at each position; empty without a table.
    confused: Vec<bool>,
    /// Spans of more graphemes than this are not among the moves.
    pub(crate) longest_move: usize,
    /// The positions and operations with matching spans of more than that.
    cut: Vec<(u32, Op)>,
}

impl<'t> Lattice<'t> {
    /// Lays out a pair; duplications and reversals of more than `longest_move` graphemes are left out, and noted.
    pub(crate) fn new(
        law: &ChannelLaw,
        ascii: &AsciiEmissions,
        original: &'t str,
        corrupted: &'t str,
        longest_move: usize,
    ) -> Self {
        let mut index: HashMap<&str, u32> = HashMap::new();
        let (mut starts, mut form, mut forms) = (vec![0], Vec::new(), Vec::new());
        for grapheme in graphemes(original) {
            let new = forms.len() as u32;
            let id = *index.entry(grapheme).or_insert_with(|| {
                forms.push(grapheme);
                new
            });
            form.push(id);
            starts.push(starts[starts.len() - 1] + grapheme.len() as u32);
        }
        let mut by_first = vec![Vec::new(); 256];
        for (id, form) in forms.iter().enumerate() {
            by_first[usize::from(form.as_bytes()[0])].push(id);
        }
        let mut standing = vec![Vec::new(); forms.len()];
        for (at, byte) in corrupted.bytes().enumerate() {
            for &id in &by_first[usize::from(byte)] {
                if corrupted.as_bytes()[at..].starts_with(forms[id].as_bytes()) {
                    standing[id].push(at as u32);
                }
            }
        }
        let emissions = Emissions::new(law, ascii, &forms, corrupted);
        let mut lattice = Self {
            original,
            corrupted,
            emissions,
            starts,
            form,
            forms,
            standing,
            moves: Vec::new(),
            moves_from: vec![0],
            places: Vec::new(),
            confused: Vec::new(),
            longest_move,
            cut: Vec::new(),
        };
        lattice.find_moves(law);
        lattice
    }

    /// Graphemes of the original.
    pub(crate) fn count(&self) -> usize {
        self.form.len()
    }

    /// Byte offset of grapheme `i`; of the end of the original for `count()`.
    pub(crate) fn start(&self, i: usize) -> usize {
        self.starts[i] as usize
    }

    /// The graphemes `from..to`.
    pub(crate) fn span(&self, from: usize, to: usize) -> &'t str {
        &self.original[self.start(from)..self.start(to)]
    }

    /// The index of the form of grapheme `i`.
    pub(crate) fn form(&self, i: usize) -> usize {
        self.form[i] as usize
    }

    /// The distinct graphemes of the original.
    pub(crate) fn forms(&self) -> &[&'t str] {
        &self.forms
    }

    /// The byte offsets within `range` at which grapheme `i` stands in the corrupted text.
    pub(crate) fn standing(&self, i: usize, range: Range<usize>) -> &[u32] {
        within(&self.standing[self.form(i)], range)
    }

    /// The moves that can start at position `i`.
    pub(crate) fn moves(&self, i: usize) -> &[Move] {
        &self.moves[self.moves_from[i] as usize..self.moves_from[i + 1] as usize]
    }

    /// Whether a substitution at position `i` copies the grapheme, because no row of the confusion table matches.
    pub(crate) fn is_unconfused(&self, i: usize) -> bool {
        self.confused.get(i) == Some(&false)
    }

    /// The byte offsets within `range` at which the emission of a move stands. Not for empty emissions, which stand everywhere.
    pub(crate) fn places_of(&self, one: &Move, range: Range<usize>) -> &[u32] {
        within(&self.places[one.places.clone()], range)
    }

    /// The operations of which longer spans than [`longest_move`](Self::longest_move) match at position `i`.
    pub(crate) fn cut(&self, i: usize) -> impl Iterator<Item = Op> {
        let from = self.cut.partition_point(|(at, _)| (*at as usize) < i);
        self.cut[from..].iter().take_while(move |(at, _)| *at as usize == i).map(|(_, op)| *op)
    }

    /// The most graphemes that a move consumes.
    pub(crate) fn farthest_move(&self) -> usize {
        let of = |i: usize| self.moves(i).iter().map(move |one| one.to - i).max();
        (0..self.count()).filter_map(of).max().unwrap_or(0)
    }

    /// Whether spans are left out because of their length.
    pub(crate) fn is_cut(&self) -> bool {
        !self.cut.is_empty()
    }

    fn find_moves(&mut self, law: &ChannelLaw) {
        let is_on = |op: Op| law.settings().op(op).rate > 0.0;
        let mut found: HashMap<String, Range<usize>> = HashMap::new();
        for i in 0..self.count() {
            if is_on(Op::Substitution) && law.confusions().is_some() {
                self.find_confusions(law, i, &mut found);
            }
            if is_on(Op::Duplication) {
                self.find_duplications(law, i);
            }
            if is_on(Op::Reversal) {
                self.find_reversals(law, i);
            }
            self.moves_from.push(self.moves.len() as u32);
        }
    }

    fn find_confusions(&mut self, law: &ChannelLaw, i: usize, found: &mut HashMap<String, Range<usize>>) {
        let rest = (i..self.count()).map(|at| self.span(at, at + 1));
        let rows: Vec<_> = law.confusion(rest).map(|(n, row, p)| (n, row.to.clone(), p)).collect();
        self.confused.push(!rows.is_empty());
        for (consumed, to, p) in rows {
            let emitted = to.len();
            let places = if let Some(places) = found.get(&to) {
                places.clone()
            } else {
                let from = self.places.len();
                if !to.is_empty() {
                    let here = |at: &usize| self.corrupted.as_bytes()[*at..].starts_with(to.as_bytes());
                    self.places.extend((0..self.corrupted.len()).filter(here).map(|at| at as u32));
                }
                found.insert(to, from..self.places.len());
                from..self.places.len()
            };
            if emitted == 0 || !places.is_empty() {
                self.moves.push(Move { op: Op::Substitution, to: i + consumed, emitted, p, places });
            }
        }
    }

    fn find_duplications(&mut self, law: &ChannelLaw, i: usize) {
        let (lengths, left) = (law.length(Op::Duplication), self.count() - i);
        let text = self.corrupted.as_bytes();
        // Where the first of the two copies stands.
        let mut first: Vec<u32> = self.standing(i, 0..text.len()).to_vec();
        for length in 1..=left.min(lengths.longest().unwrap_or(left)) {
            let span = self.span(i, i + length).as_bytes();
            if length > 1 {
                let added = self.start(i + length - 1) - self.start(i);
                first.retain(|&at| text[at as usize + added..].starts_with(&span[added..]));
            }
            if first.is_empty() {
                return;
            }
            if length > self.longest_move {
                return self.cut.push((i as u32, Op::Duplication));
            }
            let twice =
                first.iter().copied().filter(|&at| text[at as usize + span.len()..].starts_with(span));
            let from = self.places.len();
            self.places.extend(twice);
            self.push(Op::Duplication, i + length, 2 * span.len(), lengths.consumes(length, left), from);
        }
    }

    fn find_reversals(&mut self, law: &ChannelLaw, i: usize) {
        let (lengths, left) = (law.length(Op::Reversal), self.count() - i);
        let text = self.corrupted.as_bytes();
        let mut standing: Vec<u32> = self.standing(i, 0..text.len()).to_vec();
        for length in 1..=left.min(lengths.longest().unwrap_or(left)) {
            if length > 1 {
                // The next grapheme of the original comes before the others.
                let next = self.span(i + length - 1, i + length).as_bytes();
                standing.retain_mut(|at| match (*at as usize).checked_sub(next.len()) {
                    Some(before) => {
                        *at = before as u32;
                        text[before..].starts_with(next)
                    }
                    None => false,
                });
            }
            if standing.is_empty() {
                return;
            }
            if length > self.longest_move {
                return self.cut.push((i as u32, Op::Reversal));
            }
            let p = lengths.consumes(length, left);
            if p > 0.0 {
                let from = self.places.len();
                self.places.extend_from_slice(&standing);
                self.push(Op::Reversal, i + length, self.start(i + length) - self.start(i), p, from);
            }
        }
    }

    /// Adds a move whose places are the last ones from `from` on, if there are any.
    fn push(&mut self, op: Op, to: usize, emitted: usize, p: f64, from: usize) {
        let places = from..self.places.len();
        if !places.is_empty() && p > 0.0 {
            self.moves.push(Move { op, to, emitted, p, places });
        }
    }
}

/// The entries of an ascending list that lie in `range`.
fn within(list: &[u32], range: Range<usize>) -> &[u32] {
    let from = list.partition_point(|&at| (at as usize) < range.start);
    let to = from + list[from..].partition_point(|&at| (at as usize) < range.end);
    &list[from..to]
}
