//! What the channel can have drawn where the corrupted text goes on, as logarithms.

use corruptor::ChannelLaw;

/// Bytes that a drawn symbol takes, and ln of its probability.
pub(super) type Emission = (u32, f64);

/// Substitutions of one ASCII character by another, looked up instead of computed.
#[derive(Clone, Debug)]
pub(super) struct Substitutions {
    /// By byte that is replaced and byte that is drawn.
    ascii: Vec<f64>,
    /// By byte that is drawn: the greatest of them.
    greatest: Vec<f64>,
}

impl Substitutions {
    pub(super) fn new(law: &ChannelLaw) -> Self {
        let mut ascii = vec![f64::NEG_INFINITY; 128 * 128];
        let character = |byte: u8| char::from(byte).to_string();
        if law.confusions().is_none() {
            for from in 0..128u8 {
                for to in 0..128u8 {
                    let emissions = law.substitution(&character(from), &character(to));
                    let own = emissions.iter().find(|(bytes, _)| *bytes == 1);
                    ascii[usize::from(from) * 128 + usize::from(to)] =
                        own.map_or(f64::NEG_INFINITY, |(_, p)| p.ln());
                }
            }
        }
        let of_byte =
            |to: usize| ascii.iter().skip(to).step_by(128).copied().fold(f64::NEG_INFINITY, f64::max);
        Self { greatest: (0..128).map(of_byte).collect(), ascii }
    }

    /// A bound of ln of the probability of what an ASCII character can have put where the text goes on with `rest`.
    pub(super) fn greatest(&self, rest: &str) -> f64 {
        match rest.as_bytes() {
            [to @ 0..128] | [to @ 0..128, 0..128, ..] if *to != b'\r' => self.greatest[usize::from(*to)],
            _ => 0.0,
        }
    }

    /// What the substitution of `unit` can have put where the text goes on with `rest`.
    pub(super) fn at(&self, law: &ChannelLaw, unit: &str, rest: &str, found: &mut Vec<Emission>) {
        found.clear();
        match (unit.as_bytes(), rest.as_bytes()) {
            // Only what extends it could make the drawn symbol longer, and no such byte is ASCII but that of CR LF.
            ([from @ 0..128], [to @ 0..128] | [to @ 0..128, 0..128, ..]) if *to != b'\r' => {
                found.push((1, self.ascii[usize::from(*from) * 128 + usize::from(*to)]));
            }
            _ => {
                let emissions = law.substitution(unit, rest);
                found.extend(emissions.into_iter().map(|(bytes, p)| (bytes as u32, p.ln())));
            }
        }
    }
}
