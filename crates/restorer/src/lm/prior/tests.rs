//! A decoder's prior is what the decoder says, however it is asked.

use proptest::prelude::*;

use super::*;
use crate::channel::{ChannelRestorer, Decoding};
use crate::lm::{Compute, LmSettings};
use crate::load::LoadOptions;
use crate::prior::{END, bits};
use crate::restorer::{RestoreRequest, Restorer as _};

fn prior() -> LmPrior {
    let config = serde_json::json!({
        "hidden_size": 16, "intermediate_size": 24, "head_dim": 8, "num_attention_heads": 2,
        "num_key_value_heads": 1, "num_hidden_layers": 2, "initializer_range": 0.4,
    });
    let settings = LmSettings {
        family: "llama".to_owned(),
        config: config.as_object().unwrap().clone(),
        ..LmSettings::default()
    };
    let model = LanguageModel::random(&settings, Compute::default(), &LoadOptions::default()).unwrap();
    LmPrior::new(model).unwrap()
}

/// The states after some symbols, asked for one at a time.
fn walk(prior: &LmPrior, text: &[u8]) -> Vec<(f32, LmState)> {
    let (mut state, mut next, mut found) = (prior.start(), Vec::new(), Vec::new());
    for symbol in text {
        prior.advance(&[(state, *symbol)], &mut next);
        let (ln, after) = next.pop().unwrap();
        found.push((ln, after.clone()));
        state = after;
    }
    found
}

#[test]
fn probabilities_of_all_symbols_sum_to_one() {
    let prior = prior();
    let state = walk(&prior, "é, a".as_bytes()).pop().unwrap().1;
    let steps: Vec<_> = (0..=u8::MAX).map(|symbol| (state.clone(), symbol)).collect();
    let mut next = Vec::new();
    prior.advance(&steps, &mut next);
    let sum: f64 = next.iter().map(|(ln, _)| f64::from(*ln).exp()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    assert!(next[0xC0].0.is_infinite());
}

#[test]
fn texts_with_the_same_last_bytes_are_one_hypothesis() {
    let prior = prior();
    let after = |text: &str| {
        text.bytes().fold(prior.start(), |state, byte| LmState(state.0.child(token(byte, prior.end))))
    };
    let (same, shorter) = ("the same for long enough", "he same for long enough");
    assert_eq!(after(&format!("one {same}")), after(&format!("two or {same}")));
    assert_ne!(after(&format!("1{shorter}")), after(&format!("2{shorter}")));
    assert_ne!(after("ab"), after("ba"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn reading_at_once_is_reading_step_by_step(text in "[a-e é]{1,40}", known in 0usize..20) {
        let prior = prior();
        let text = text.as_bytes();
        let steps = walk(&prior, text);
        // From a state in the middle, which nobody has read yet.
        let known = known.min(text.len() - 1);
        let mut state = prior.start();
        for symbol in &text[..known] {
            state = LmState(state.0.child(token(*symbol, prior.end)));
        }
        let mut found = Vec::new();
        prior.read(&state, &text[known..], &mut found);
        prop_assert_eq!(found.len(), text.len() - known);
        for ((ln, after), (expected, same)) in found.iter().zip(&steps[known..]) {
            prop_assert!((ln - expected).abs() < 1e-4, "{} {}", ln, expected);
            prop_assert!(after == same);
        }
    }

    #[test]
    fn what_is_asked_together_does_not_matter(
        texts in prop::collection::vec("[ab]{0,9}", 1..6),
        shared in "[ab]{0,6}",
        symbol in 97u8..100,
    ) {
        let prior = prior();
        // All of them continue one text, read as far as it goes.
        let trunk = walk(&prior, shared.as_bytes()).pop().map_or_else(|| prior.start(), |(_, state)| state);
        let after = |text: &String| {
            text.bytes().fold(trunk.clone(), |state, byte| LmState(state.0.child(token(byte, prior.end))))
        };
        let steps: Vec<_> = texts.iter().map(|text| (after(text), symbol)).collect();
        let mut together = Vec::new();
        prior.advance(&steps, &mut together);
        for ((ln, state), text) in together.iter().zip(&texts) {
            let whole = [shared.as_bytes(), text.as_bytes(), &[symbol]].concat();
            let (alone, same) = walk(&prior, &whole).pop().unwrap();
            prop_assert!((ln - alone).abs() < 1e-4, "{} {}", ln, alone);
            prop_assert!(*state == same);
        }
    }

    #[test]
    fn likely_symbols_are_the_most_probable(text in "[a-c]{0,6}", least in -9.0f64..0.0, most in 1usize..30) {
        let prior = prior();
        let state = walk(&prior, text.as_bytes()).pop().map_or_else(|| prior.start(), |(_, state)| state);
        let mut found = Ranked::default();
        prior.likely(&[(state.clone(), least)], most, &mut found);
        let steps: Vec<_> = (0..=u8::MAX).map(|symbol| (state.clone(), symbol)).collect();
        let mut next = Vec::new();
        prior.advance(&steps, &mut next);
        let mut expected: Vec<(u8, f64)> =
            (0..=u8::MAX).zip(next.iter().map(|(ln, _)| f64::from(*ln))).filter(|(_, ln)| *ln >= least).collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        expected.truncate(most);
        let found: Vec<(u8, f64)> = found.of(0).iter().map(|(symbol, ln, _)| (*symbol, *ln)).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn bits_are_those_of_the_whole_pass() {
    let prior = prior();
    let text = "Whether it reads a text at once or not: the same bits.";
    let mut tokens: Vec<u32> = text.bytes().chain([END]).map(|symbol| token(symbol, prior.end)).collect();
    let example =
        crate::lm::TokenExample { source: vec![prior.beginnings.text], target: std::mem::take(&mut tokens) };
    let logits = prior
        .model()
        .network()
        .target_logits(&[&example], &crate::layers::Pass::plain(), &mut crate::layers::Tape::keeping())
        .unwrap();
    let rows: Vec<Vec<f32>> = logits.to_vec2().unwrap();
    // Only tokens that are symbols count.
    let expected: f64 = rows
        .iter()
        .zip(&example.target)
        .map(|(row, target)| {
            let ln = symbols::ln_probabilities(row, prior.end);
            let symbol =
                text.bytes().chain([END]).find(|symbol| token(*symbol, prior.end) == *target).unwrap();
            -f64::from(ln[usize::from(symbol)]) / std::f64::consts::LN_2
        })
        .sum();
    assert!((bits(&prior, text) - expected).abs() < 1e-4 * expected);
}

#[test]
fn channels_are_decoded_under_a_decoder() {
    let settings = corruptor::CorruptSettings {
        alphabet: corruptor::AlphabetChoice::Custom("abc".to_owned()),
        ..corruptor::CorruptSettings::default()
    };
    let restorer =
        ChannelRestorer::new(prior(), &settings, Decoding::default(), 0.5, &LoadOptions::default()).unwrap();
    let restored = restorer.restore(&[RestoreRequest::new("cab"), RestoreRequest::new("")]).unwrap();
    assert_eq!(corruptor::apply_edits("cab", &restored[0].edits).unwrap(), restored[0].text);
    assert_eq!(restored[1].text, "");
    let again = restorer.restore(&[RestoreRequest::new("cab")]).unwrap();
    assert_eq!(again[0].text, restored[0].text);
}
