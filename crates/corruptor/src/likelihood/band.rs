//! Which cells of the dynamic program are computed.

use super::lattice::Lattice;

/// Which byte offsets of the corrupted text are computed at each position: from, to.
pub(crate) type Band = Vec<(usize, usize)>;

/// The byte offset at which position `i` lies on the straight line between start and end.
pub(crate) fn centre(lattice: &Lattice<'_>, i: usize) -> usize {
    let end = lattice.corrupted.len();
    if i == lattice.count() { end } else { lattice.start(i) * end / lattice.original.len().max(1) }
}

/// The cells at most `half_width` bytes from the straight line between start and end.
pub(crate) fn band(lattice: &Lattice<'_>, half_width: usize) -> Band {
    let at = |i: usize| {
        let centre = centre(lattice, i);
        let to = centre.saturating_add(half_width).min(lattice.corrupted.len());
        (centre.saturating_sub(half_width), to + 1)
    };
    (0..=lattice.count()).map(at).collect()
}

/// One past the last byte that an insertion at position `i` is followed to; from there on, or from the grapheme after it on, it
/// would leave the band.
pub(crate) fn inserted_to(lattice: &Lattice<'_>, band: &Band, i: usize) -> usize {
    let with_next = match band.get(i + 1) {
        Some((_, to)) => to.saturating_sub(lattice.start(i + 1) - lattice.start(i)),
        None => lattice.corrupted.len() + 1,
    };
    with_next.max(band[i].1 + 1).min(lattice.corrupted.len() + 1)
}

/// The least band with the cells of `extents` whose ends never go back, so that events under way stay inside.
pub(crate) fn rising(extents: &Band) -> Band {
    let mut band = extents.clone();
    let (mut before, mut after) = (0, usize::MAX);
    for (from, to) in band.iter_mut().rev() {
        if from < to {
            after = after.min(*from);
        }
        *from = after;
    }
    for (from, to) in &mut band {
        if *from < *to {
            before = before.max(*to);
        }
        *to = before.max(*from);
    }
    band
}
