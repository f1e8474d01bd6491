//! Other originals of a whole text, from those of its doubtful parts.

use std::collections::HashSet;
use std::ops::Range;

/// An original of a part of a text, and its share of the whole weight.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Original {
    pub(crate) text: String,
    pub(crate) share: f64,
}

/// A part of a text and what it can have been.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Doubtful {
    /// Its bytes.
    pub(crate) input: Range<usize>,
    /// The one with the greatest share first.
    pub(crate) originals: Vec<Original>,
    /// The share of what it was restored to.
    pub(crate) share: f64,
}

/// An original of a whole text, and ln of its share.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Whole {
    pub(super) text: String,
    pub(super) ln_share: f64,
}

/// A choice for each part: that of the first original but for a few, as (part, original).
#[derive(Clone)]
struct Choice {
    ln_share: f64,
    others: Vec<(u32, u32)>,
}

/// The `most` most probable originals of `text` other than `restored`, best first over the choices for its parts, which count as
/// independent of each other. Of parts that overlap the first counts.
pub(super) fn others(text: &str, restored: &str, parts: &[Doubtful], most: usize) -> Vec<Whole> {
    if most == 0 {
        return Vec::new();
    }
    let mut sound: Vec<&Doubtful> = Vec::with_capacity(parts.len());
    for part in parts {
        let is_apart = sound.last().is_none_or(|before| before.input.end <= part.input.start);
        if is_apart && !part.originals.is_empty() {
            sound.push(part);
        }
    }
    // Some choices spell the same text, and one is the restored.
    let kept = 2 * most + 2;
    let mut choices = vec![Choice { ln_share: 0.0, others: Vec::new() }];
    for (number, part) in (0..).zip(&sound) {
        let mut next = Vec::with_capacity(choices.len() * part.originals.len().min(kept));
        for choice in &choices {
            for (original, known) in (0..).zip(part.originals.iter().take(kept)) {
                let ln_share = choice.ln_share + known.share.max(f64::MIN_POSITIVE).ln();
                next.push((ln_share, choice, original));
            }
        }
        // Of equal ones the first.
        next.sort_by(|a, b| b.0.total_cmp(&a.0));
        next.truncate(kept);
        let chosen = next.into_iter().map(|(ln_share, choice, original)| {
            let mut others = choice.others.clone();
            if original > 0 {
                others.push((number, original));
            }
            Choice { ln_share, others }
        });
        choices = chosen.collect();
    }
    let mut seen = HashSet::from([restored.to_owned()]);
    let mut found = Vec::with_capacity(most);
    for Choice { ln_share, others } in choices {
        let original = written(text, &sound, &others);
        if found.len() < most && seen.insert(original.clone()) {
            found.push(Whole { text: original, ln_share });
        }
    }
    found
}

fn written(text: &str, parts: &[&Doubtful], others: &[(u32, u32)]) -> String {
    let (mut out, mut copied) = (String::with_capacity(text.len()), 0);
    let mut others = others.iter().peekable();
    for (number, part) in (0..).zip(parts) {
        let chosen = others.next_if(|(of, _)| *of == number).map_or(0, |(_, original)| *original);
        out.push_str(&text[copied..part.input.start]);
        out.push_str(&part.originals[chosen as usize].text);
        copied = part.input.end;
    }
    out.push_str(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(input: Range<usize>, originals: &[(&str, f64)]) -> Doubtful {
        let originals =
            originals.iter().map(|(text, share)| Original { text: (*text).to_owned(), share: *share });
        Doubtful { input, originals: originals.collect(), share: 1.0 }
    }

    #[test]
    fn the_most_probable_choices_come_first() {
        let parts = [part(0..1, &[("a", 0.6), ("b", 0.4)]), part(2..3, &[("c", 0.7), ("d", 0.2), ("", 0.1)])];
        let found = others("x y", "a c", &parts, 3);
        let shares: Vec<_> =
            found.iter().map(|one| (one.text.as_str(), (one.ln_share.exp() * 100.0).round())).collect();
        assert_eq!(shares, [("b c", 28.0), ("a d", 12.0), ("b d", 8.0)]);
        assert!(others("x y", "a c", &parts, 0).is_empty());
        // A part that overlaps another, or that nothing is known of, is left as it is.
        let odd = [parts[0].clone(), part(0..2, &[("zz", 1.0)]), part(2..3, &[])];
        assert_eq!(others("x y", "a y", &odd, 4)[0].text, "b y");
    }

    #[test]
    fn thousands_of_parts_are_no_trouble() {
        let text = "x ".repeat(20_000);
        let parts: Vec<_> = (0..20_000).map(|i| part(2 * i..2 * i + 1, &[("x", 0.9), ("y", 0.1)])).collect();
        let found = others(&text, &text, &parts, 4);
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|one| one.text.matches('y').count() == 1 && one.ln_share < -2000.0));
    }
}
