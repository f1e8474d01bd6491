//! How a model is to decode, settled with the model.

use restorer::{Decoding, ModelInfo};

use super::values::{Beams, Method};
use crate::{
    error::{ApiError, Kind},
    list::list,
};

/// Hypotheses of a search by `beam` unless a request says otherwise.
const DEFAULT_BEAMS: usize = 4;

/// A way to decode, as it was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DecodeOptions {
    decoding: Option<Decoding>,
    num_beams: Option<usize>,
}

impl DecodeOptions {
    /// As the options of a request say.
    pub(crate) fn new(decoding: Option<Method>, num_beams: Option<Beams>) -> Self {
        Self { decoding: decoding.map(Decoding::from), num_beams: num_beams.map(Beams::get) }
    }

    /// The hypotheses that `model` keeps to decode so; none where that is its own choice.
    ///
    /// # Errors
    ///
    /// Where the model cannot do it that way; the pointer names the option.
    pub(crate) fn settle(self, name: &str, model: &ModelInfo) -> Result<Option<usize>, ApiError> {
        self.of_known(&model.decodings).map_err(|(at, detail)| {
            ApiError::new(Kind::InvalidRequest, format!("the model `{name}` {detail}")).at(at)
        })
    }

    /// The same with a model that knows `known` ways; else the pointer to what does not fit, and why.
    fn of_known(self, known: &[Decoding]) -> Result<Option<usize>, (&'static str, String)> {
        let name = |decoding: &Decoding| format!("{decoding:?}").to_lowercase();
        if let Some(wanted) = self.decoding.filter(|wanted| !known.contains(wanted)) {
            let known: Vec<String> = known.iter().map(name).collect();
            let known = list(known.iter().map(String::as_str));
            return Err(("/decoding", format!("does not decode by `{}`; it does by {known}", name(&wanted))));
        }
        match (self.decoding, self.num_beams) {
            (Some(Decoding::Greedy), Some(2..)) => Err((
                "/num_beams",
                "keeps one hypothesis where it decodes by `greedy`; ask for `beam`".to_owned(),
            )),
            (_, Some(2..)) if known == [Decoding::Edits] => {
                Err(("/num_beams", "does not search: it decodes by `edits`".to_owned()))
            }
            (Some(Decoding::Beam), None) => Ok(Some(DEFAULT_BEAMS)),
            (_, num_beams) => Ok(num_beams),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_decodes_as_it_can_and_says_what_it_cannot() {
        use Decoding::{Beam, Channel, Edits, Greedy};
        let settled =
            |decoding, num_beams, known: &[Decoding]| DecodeOptions { decoding, num_beams }.of_known(known);
        let (tagger, writer, prior) = ([Edits], [Greedy, Beam], [Channel]);
        assert_eq!(settled(None, None, &tagger), Ok(None));
        assert_eq!(settled(Some(Edits), Some(1), &tagger), Ok(Some(1)));
        assert_eq!(settled(Some(Beam), None, &writer), Ok(Some(DEFAULT_BEAMS)));
        assert_eq!(settled(None, Some(7), &writer), Ok(Some(7)));
        assert_eq!(settled(Some(Channel), Some(64), &prior), Ok(Some(64)));
        for (decoding, beams, known, at, words) in [
            (None, Some(2), &tagger[..], "/num_beams", "does not search"),
            (Some(Greedy), Some(2), &writer[..], "/num_beams", "ask for `beam`"),
            (Some(Channel), None, &writer[..], "/decoding", "by `greedy` and `beam`"),
            (Some(Beam), Some(2), &prior[..], "/decoding", "it does by `channel`"),
        ] {
            let (found, detail) = settled(decoding, beams, known).unwrap_err();
            assert!(found == at && detail.contains(words), "{found}: {detail}");
        }
    }
}
