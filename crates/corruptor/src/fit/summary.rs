//! What a fit says of itself.

use std::fmt;

use super::run::Fit;
use crate::op::Op;

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, counts, nats_per_grapheme, converged, impossible } = self;
        let (first, last) = (nats_per_grapheme.first(), nats_per_grapheme.last());
        let (first, last) = (first.copied().unwrap_or(f64::NAN), last.copied().unwrap_or(f64::NAN));
        let iterations = nats_per_grapheme.len().saturating_sub(1);
        let how = if *converged { "converged" } else { "not yet converged" };
        writeln!(
            f,
            "{} pairs, {} graphemes: {first:.6} nats a grapheme at the start, {last:.6} after {iterations} iterations, {how}",
            counts.pairs, counts.graphemes
        )?;
        if *impossible > 0 {
            writeln!(
                f,
                "{impossible} pairs are impossible with these operations and were left out; `corruptor score` names them"
            )?;
        }
        writeln!(f, "{:<12} {:>9} {:>11} {:>10}", "", "attempts", "rate", "mean")?;
        for op in Op::ALL {
            let of = settings.op(op);
            let attempted = counts.attempted(op);
            writeln!(f, "{:<12} {attempted:>9.1} {:>11.3e} {:>10.3}", op.name(), of.rate, of.mean)?;
        }
        write!(f, "clean share {:.4}", settings.clean_share)
    }
}
