//! Where the say of one window ends and that of the next begins.

use std::ops::Range;

use corruptor::{Edit, is_grapheme_boundary};

/// The place in `text` where what was found in the window of `left` gives way to what was found in that of `right`, at most `reach`
/// bytes from where the cores meet: the nearest that no edit of either touches, else one that none spans.
pub(super) fn seam(
    text: &str,
    left: (&Range<usize>, &[Edit]),
    right: (&Range<usize>, &[Edit]),
    reach: usize,
) -> usize {
    let meeting = left.0.end;
    // Seams of consecutive pairs never cross.
    let reach = reach.min(left.0.len() / 3).min(right.0.len() / 3);
    let both = || left.1.iter().chain(right.1);
    let places = || {
        let around = (0..=reach).flat_map(|away| [meeting + away, meeting - away]);
        around.filter(|at| *at == meeting || is_grapheme_boundary(text, *at))
    };
    let is_quiet = |at: &usize| !both().any(|edit| edit.start <= *at && *at <= edit.end);
    let is_whole = |at: &usize| !both().any(|edit| edit.start < *at && *at < edit.end);
    places().find(is_quiet).or_else(|| places().find(is_whole)).unwrap_or(meeting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(start: usize, end: usize) -> Edit {
        Edit { start, end, replacement: String::new(), confidence: 1.0 }
    }

    #[test]
    fn a_seam_is_where_neither_window_changes_anything() {
        let text = "0123456789012345678901234567e\u{301}0123456789";
        let (left, right) = (0..20, 20..text.len());
        let of = |first: &[Edit], second: &[Edit]| seam(text, (&left, first), (&right, second), 5);
        assert_eq!(of(&[], &[]), 20);
        assert_eq!(of(&[edit(19, 21)], &[]), 22);
        assert_eq!(of(&[edit(20, 20)], &[edit(21, 21)]), 19);
        // Quiet nowhere: between two edits.
        assert_eq!(of(&[edit(10, 18), edit(18, 40)], &[]), 18);
        assert_eq!(of(&[edit(10, 40)], &[]), 20);
        let wide = seam(text, (&(0..29), &[edit(28, 29)]), (&(29..text.len()), &[]), 3);
        assert_eq!(wide, 31, "never inside a grapheme");
    }
}
