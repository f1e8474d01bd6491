//! One text under restoration: its cores, round by round, and the pieces of it that can no longer change.
//!
//! A text is cut into cores; a window is a core with context on both sides. Each round looks at every core whose window has changed
//! since it was last looked at. Where two windows of the first round overlap, the cores are made to meet where neither changes
//! anything. A round of a core waits for the round before of those that its window reaches into, and for no others: what is far
//! behind is done, and forgotten, while what is far ahead is not yet cut. What is found does not depend on who was looked at first.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use corruptor::{Edit, apply_edits, compose_edits};

use super::pieces::{Finished, Pieces};
use super::seams::seam;
use super::window::{Window, WindowEdits};
use super::{Piece, Summary};
use crate::calibration::Calibration;
use crate::restorer::RestoreRequest;
use crate::windows::WindowSize;

/// Cores of one text that are under way at once, unless its windows reach further.
const MOST_CORES: usize = 64;

/// How a family restores texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DocumentSettings {
    /// How a text is cut.
    pub(crate) size: WindowSize,
    /// Most rounds where the request names none.
    pub(crate) max_rounds: usize,
    /// Whether there is one round, whatever the request says.
    pub(crate) looks_once: bool,
    /// Bytes before a window that the family wants to know.
    pub(crate) remembered_bytes: usize,
    /// Threshold where the request names none.
    pub(crate) min_confidence: f32,
    /// From the confidence of edits as windows tell it to that which a restoration tells, and a threshold is held to.
    pub(crate) calibration: Option<Calibration>,
    /// From the probability that a core is right, as windows tell it, to that which a restoration tells of the text.
    pub(crate) text_calibration: Option<Calibration>,
    /// Whether what is told of edits was held to held-out pairs.
    pub(crate) is_calibrated: bool,
}

/// A core and what became of it.
#[derive(Debug)]
struct Core {
    /// Where it is in the input; the first round moves the ends to the seams.
    input: Range<usize>,
    /// Its text before the first round, and after each.
    texts: Vec<Arc<str>>,
    /// From the input to the last of `texts`.
    edits: Vec<Edit>,
    looked_at: Option<Arc<Window>>,
    is_running: bool,
    /// What the first round has found, over the input, until its neighbours need it no more.
    first: Option<WindowEdits>,
    /// Where it meets the next core.
    seam: Option<usize>,
    finished: Finished,
}

impl Core {
    /// Rounds that it has been through.
    fn rounds(&self) -> usize {
        self.texts.len() - 1
    }

    /// Its text after a round.
    fn after(&self, round: usize) -> &str {
        &self.texts[round.min(self.rounds())]
    }

    /// A round makes these edits, over its text.
    fn change(&mut self, edits: &[Edit]) {
        let text = Arc::clone(&self.texts[self.rounds()]);
        // Edits of a window lie inside its core and are sorted, so they always fit.
        let changed = if edits.is_empty() { None } else { apply_edits(&text, edits).ok() };
        if let Some(changed) = changed {
            self.edits = compose_edits(&text, &self.edits, edits);
            self.texts.push(changed.into());
        } else {
            self.texts.push(text);
        }
    }

    /// Where protected bytes of the input are in its text: they are unchanged, but moved.
    fn moved(&self, protected: &[Range<usize>]) -> Vec<Range<usize>> {
        let shift = |at: usize| -> isize {
            let before = self.edits.iter().filter(|edit| edit.end <= at);
            before.map(|e| e.replacement.len().cast_signed() - (e.end - e.start).cast_signed()).sum()
        };
        let moved = |range: Range<usize>| {
            let by = shift(range.start);
            range.start.wrapping_add_signed(by)..range.end.wrapping_add_signed(by)
        };
        within(protected, &self.input).map(moved).collect()
    }
}

/// The parts of sorted ranges that lie in `range`, counted from its start.
fn within(ranges: &[Range<usize>], range: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let first = ranges.partition_point(|one| one.end <= range.start);
    let Range { start, end } = *range;
    let inside = ranges[first..].iter().take_while(move |one| one.start < end);
    inside.map(move |one| one.start.max(start) - start..one.end.min(end) - start)
}

/// A text under restoration.
#[derive(Debug)]
pub(super) struct Document {
    request: RestoreRequest,
    protected: Vec<Range<usize>>,
    settings: DocumentSettings,
    /// Least confidence of an edit, as windows tell it.
    threshold: f32,
    rounds: usize,
    /// Those that still matter; the first of them is number `first` of the text.
    cores: VecDeque<Core>,
    first: usize,
    /// Where the next one begins; `None` once the whole text is cut.
    uncut: Option<usize>,
    /// Number of the first core that is no piece yet.
    next_piece: usize,
    pieces: Pieces,
}

impl Document {
    pub(super) fn new(request: RestoreRequest, settings: &DocumentSettings) -> Self {
        let told = request.options.min_confidence.unwrap_or(settings.min_confidence);
        let threshold =
            settings.calibration.map_or(told, |calibration| calibration.said(f64::from(told)) as f32);
        let rounds = request.options.max_rounds.unwrap_or(settings.max_rounds);
        Self {
            protected: request.protected(),
            threshold,
            rounds: if settings.looks_once { 1 } else { rounds },
            cores: VecDeque::new(),
            first: 0,
            uncut: Some(0),
            next_piece: 0,
            pieces: Pieces::new(settings, request.options.alternatives, threshold),
            settings: *settings,
            request,
        }
    }

    /// A window to look at now, with the number of its core; none where all wait for others, or are done.
    pub(super) fn next_window(&mut self) -> Option<(usize, Arc<Window>)> {
        let reach = self.settings.size.reach();
        loop {
            let ready = (0..self.cores.len()).find(|at| self.is_ready(*at, reach));
            let Some(at) = ready else {
                let open = self.first + self.cores.len() - self.next_piece;
                if open >= MOST_CORES.max(reach * self.rounds + 2) || !self.cut() {
                    return None;
                }
                continue;
            };
            let window = self.window(at, reach);
            let core = &mut self.cores[at];
            if core.looked_at.as_deref() == Some(&window) {
                core.change(&[]);
                continue;
            }
            let window = Arc::new(window);
            core.looked_at = Some(Arc::clone(&window));
            core.is_running = true;
            return Some((self.first + at, window));
        }
    }

    /// What was found in the window that a core was looked at in.
    pub(super) fn found(&mut self, core: usize, found: WindowEdits) {
        let at = core - self.first;
        let threshold = self.threshold;
        let core = &mut self.cores[at];
        core.is_running = false;
        let Some(window) = core.looked_at.clone() else { return };
        core.finished.passes += found.passes;
        core.finished.ln_probability = found.ln_probability;
        core.finished.evidence = found.evidence.or(core.finished.evidence);
        let accepted = found.edits.into_iter().filter(|edit| edit.confidence >= threshold);
        if core.rounds() > 0 {
            let Range { start, end } = window.core;
            let inside = accepted.filter(|edit| start <= edit.start && edit.end <= end);
            let owned = inside.filter(|edit| window.owns_end || edit.start < end);
            let moved = owned.map(|edit| edit.moved(-start.cast_signed()));
            let protected = core.moved(&self.protected);
            let edits: Vec<Edit> =
                moved.filter(|edit| !touches(&protected, &(edit.start..edit.end))).collect();
            core.change(&edits);
            return;
        }
        let offset = core.input.start - window.core.start;
        let moved = accepted.map(|edit| edit.moved(offset.cast_signed()));
        let edits = moved.filter(|edit| !touches(&self.protected, &(edit.start..edit.end))).collect();
        let mut doubtful = found.doubtful;
        for part in &mut doubtful {
            part.input = part.input.start + offset..part.input.end + offset;
        }
        doubtful.retain(|part| !touches(&self.protected, &part.input));
        core.first = Some(WindowEdits { edits, doubtful, ..WindowEdits::default() });
        for at in at.saturating_sub(1)..=(at + 1).min(self.cores.len() - 1) {
            self.settle(at);
        }
    }

    /// Ends the first round of a core, if what its neighbours have found is known.
    fn settle(&mut self, at: usize) {
        let is_known = |at: usize| self.cores.get(at).is_none_or(|core| core.first.is_some());
        let is_last = at + 1 == self.cores.len() && self.uncut.is_none();
        let has_next = at + 1 < self.cores.len() || is_last;
        let core = &self.cores[at];
        let is_pending = core.rounds() == 0 && core.first.is_some();
        if !is_pending || !has_next || !is_known(at + 1) || at > 0 && !is_known(at - 1) {
            return;
        }
        let Range { start, end } = core.input;
        let start = at.checked_sub(1).map_or(start, |before| self.seam(before));
        let end = if is_last { end } else { self.seam(at) };
        let core = &mut self.cores[at];
        core.input = start..end;
        core.texts = vec![self.request.text[start..end].into()];
        let Some(first) = &mut core.first else { return };
        core.finished.doubtful = std::mem::take(&mut first.doubtful);
        let owns = |at: usize| start <= at && (at < end || is_last);
        core.finished.doubtful.retain(|part| owns(part.input.start));
        let inside = first.edits.iter().filter(|edit| owns(edit.start) && edit.end <= end);
        let edits: Vec<Edit> = inside.map(|edit| edit.clone().moved(-start.cast_signed())).collect();
        core.change(&edits);
    }

    /// Where a core that was looked at meets the next one, which was too.
    fn seam(&mut self, at: usize) -> usize {
        if let Some(known) = self.cores[at].seam {
            return known;
        }
        let [left, right] = [&self.cores[at], &self.cores[at + 1]].map(|core| {
            let edits = core.first.as_ref().map_or(&[][..], |first| &first.edits);
            // Its own ends, before seams have moved them.
            (core.looked_at.as_deref().map_or(0, |window| window.core.len()), &core.input, edits)
        });
        let meeting = right.1.start;
        let whole = (meeting.saturating_sub(left.0)..meeting, meeting..meeting + right.0);
        let reach = self.settings.size.overlap_bytes / 2;
        let found = seam(&self.request.text, (&whole.0, left.2), (&whole.1, right.2), reach);
        self.cores[at].seam = Some(found);
        found
    }

    /// Gives out, in order, what can no longer change.
    pub(super) fn take_pieces(&mut self, mut give: impl FnMut(Piece)) {
        while let Some(core) = self.cores.get_mut(self.next_piece - self.first)
            && core.rounds() >= self.rounds
            && !core.is_running
        {
            let edits = std::mem::take(&mut core.edits);
            let mut finished = std::mem::take(&mut core.finished);
            if self.rounds > 1 {
                // What the first round held possible is not what a later one has made.
                finished.doubtful.clear();
            }
            let input = core.input.clone();
            self.pieces.push(&self.request.text, input, edits, finished).map(&mut give);
            self.next_piece += 1;
        }
        if self.is_done() {
            self.pieces.flush(&self.request.text).map(&mut give);
        }
        // What no window reaches into any more.
        let reach = self.settings.size.reach();
        while self.next_piece - self.first > reach {
            self.cores.pop_front();
            self.first += 1;
        }
    }

    /// Whether the whole text was given out, but for what `take_pieces` still holds.
    pub(super) fn is_done(&self) -> bool {
        self.uncut.is_none() && self.next_piece == self.first + self.cores.len()
    }

    /// What is to be said of the whole text, once it is done.
    pub(super) fn summary(&mut self) -> Summary {
        self.pieces.summary(&self.request.text, self.request.options.alternatives)
    }

    /// Cuts one more core; whether there was one.
    fn cut(&mut self) -> bool {
        let Some(start) = self.uncut else { return false };
        let text = &self.request.text;
        let input = self.settings.size.core(text, start);
        self.uncut = (input.end < text.len()).then_some(input.end);
        self.cores.push_back(Core {
            texts: vec![text[input.clone()].into()],
            input,
            edits: Vec::new(),
            looked_at: None,
            is_running: false,
            first: None,
            seam: None,
            finished: Finished::default(),
        });
        // Nobody comes behind the last: its neighbours may have waited for one.
        true
    }

    /// Whether a core can be looked at: its last round is over, and so is that of all that its window reaches into.
    fn is_ready(&self, at: usize, reach: usize) -> bool {
        let core = &self.cores[at];
        let round = core.rounds();
        if core.is_running || round >= self.rounds {
            return false;
        }
        if round == 0 {
            return core.first.is_none();
        }
        let around = at.saturating_sub(reach)..=at + reach;
        let has_all = at + reach < self.cores.len() || self.uncut.is_none();
        has_all && around.filter_map(|at| self.cores.get(at)).all(|core| core.rounds() >= round)
    }

    /// The window of a core: of the input before the first round, later with the texts of its neighbours after its last round.
    fn window(&self, at: usize, reach: usize) -> Window {
        let DocumentSettings { size, remembered_bytes, .. } = self.settings;
        let (core, text) = (&self.cores[at], &self.request.text);
        let (round, num_beams) = (core.rounds(), self.request.options.num_beams);
        let owns_end = at + 1 == self.cores.len() && self.uncut.is_none();
        if round == 0 {
            // A later round would make others of them.
            let alternatives = if self.rounds > 1 { 0 } else { self.request.options.alternatives };
            let whole = size.window(text, &core.input);
            let remembered = text.ceil_char_boundary(whole.start.saturating_sub(remembered_bytes));
            return Window {
                text: text[whole.clone()].to_owned(),
                core: core.input.start - whole.start..core.input.end - whole.start,
                starts: whole.start == 0,
                ends: whole.end == text.len(),
                owns_end,
                before: if remembered_bytes == 0 {
                    String::new()
                } else {
                    text[remembered..whole.start].to_owned()
                },
                protected: within(&self.protected, &whole).collect(),
                alternatives,
                num_beams,
            };
        }
        let (mut before, mut after) = (String::new(), String::new());
        let mut starts = self.first == 0 && at <= reach;
        for neighbour in self.cores.range(at.saturating_sub(reach)..at).rev() {
            let text = neighbour.after(round);
            let missing = size.overlap_bytes.saturating_sub(before.len());
            let from = text.ceil_char_boundary(text.len().saturating_sub(missing));
            before.insert_str(0, &text[from..]);
            if from > 0 {
                starts = false;
                break;
            }
        }
        let mut ends = self.uncut.is_none() && at + reach >= self.cores.len() - 1;
        for neighbour in self.cores.range(at + 1..(at + 1 + reach).min(self.cores.len())) {
            let text = neighbour.after(round);
            let to = text.floor_char_boundary(size.overlap_bytes.saturating_sub(after.len()));
            after.push_str(&text[..to]);
            if to < text.len() {
                ends = false;
                break;
            }
        }
        let middle = core.after(round);
        let start = before.len();
        let protected = core.moved(&self.protected).into_iter();
        let protected = protected.map(|range| range.start + start..range.end + start).collect();
        Window {
            text: [before.as_str(), middle, &after].concat(),
            core: start..start + middle.len(),
            starts,
            ends,
            owns_end,
            before: String::new(),
            protected,
            alternatives: 0,
            num_beams,
        }
    }
}

/// Whether bytes are among `protected`, which are sorted and apart, or lie, as a gap, inside one of them.
fn touches(protected: &[Range<usize>], bytes: &Range<usize>) -> bool {
    let first = protected.partition_point(|range| range.end <= bytes.start);
    protected.get(first).is_some_and(|range| range.start < bytes.end)
}
