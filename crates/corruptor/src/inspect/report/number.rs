//! Numbers as people read them.

/// 1234567 → "1,234,567".
pub(super) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share as "12.3 %"; what is not nothing never reads as nothing.
pub(super) fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0 %".to_owned(),
        p if p < 0.01 => "< 0.01 %".to_owned(),
        100.0 => "100 %".to_owned(),
        p if p < 10.0 => format!("{p:.2} %"),
        p => format!("{p:.1} %"),
    }
}

/// "1 row", "2 rows".
pub(super) fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", whole(number))
}

/// `part` of `all`; nothing of nothing is 0.
pub(super) fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

/// A step of 1, 2 or 5 times a power of ten, so that `most` takes three to six of them.
pub(super) fn tick(most: f64) -> f64 {
    let power = 10f64.powf((most / 3.0).max(1e-9).log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|step| step * power).find(|step| most / step >= 3.0).unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!((whole(0), whole(999), whole(1000)), ("0".into(), "999".into(), "1,000".into()));
        assert_eq!(whole(1_234_567), "1,234,567");
        assert_eq!(
            (percent(0.0), percent(1e-6), percent(0.0273)),
            ("0 %".into(), "< 0.01 %".into(), "2.73 %".into())
        );
        assert_eq!((counted(1, "row"), counted(1200, "row")), ("1 row".into(), "1,200 rows".into()));
    }

    #[test]
    fn ticks_are_round() {
        for most in [0.003, 0.7, 1.0, 9.0, 41.0, 100.0] {
            let steps = most / tick(most);
            assert!((3.0 - 1e-9..7.6).contains(&steps), "{most}: {steps}");
        }
    }
}
