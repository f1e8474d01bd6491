//! Greedy generation with caches: at each step the most probable token. Texts join and leave between steps.
//!
//! Where a text is mostly a copy of another, a pass verifies a run of that: the tokens that the model would have chosen itself are
//! kept, and the first one that it would not is replaced by its own choice (speculative decoding, Leviathan et al. 2023, arXiv
//! 2211.17192, for greedy choice). What is written is what one token at a time gives.

use std::ops::AddAssign;

use candle_core::{DType, Result};

use super::draft::Drafter;
use super::network::{Network, SequenceCache};

/// What a model is to write.
#[derive(Clone, Debug)]
pub(super) struct Task {
    /// What it reads.
    pub(super) source: Vec<u32>,
    /// What it will mostly copy, if that is known.
    pub(super) copied: Option<Vec<u32>>,
    /// Most tokens that it writes.
    pub(super) most: usize,
}

/// What a model has written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Written {
    /// The tokens, without the one that ended it.
    pub(super) tokens: Vec<u32>,
    /// ln of each token's probability in nats, and of the end's, if there was one.
    pub(super) ln_probabilities: Vec<f32>,
    /// Whether the model ended it itself.
    pub(super) ended: bool,
    /// What it took.
    pub(super) cost: Cost,
}

/// What writing took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Passes of the decoder.
    pub(super) passes: usize,
    /// Tokens that were proposed to it.
    pub(super) proposed: usize,
    /// Of these, how many it kept.
    pub(super) kept: usize,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.passes += other.passes;
        self.proposed += other.proposed;
        self.kept += other.kept;
    }
}

/// A text that is being written.
#[derive(Debug)]
pub(super) struct Writing {
    cache: SequenceCache,
    drafter: Option<Drafter>,
    most: usize,
    goes_on: bool,
    written: Written,
}

impl Writing {
    /// Whether the text is not at its end.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// What was written so far.
    pub(super) fn written(&self) -> &Written {
        &self.written
    }

    /// Adds the model's choice; whether the text goes on.
    fn push(&mut self, (token, ln_probability): (u32, f32), ends: &[u32]) -> bool {
        let written = &mut self.written;
        written.ended = ends.contains(&token);
        if written.ended || written.tokens.len() < self.most {
            written.ln_probabilities.push(ln_probability);
        }
        if written.ended || written.tokens.len() >= self.most {
            return false;
        }
        written.tokens.push(token);
        if let Some(drafter) = &mut self.drafter {
            drafter.push(token);
        }
        true
    }

    /// Takes what the model chose behind its last token and each of `draft`, as far as it agrees.
    fn take(&mut self, draft: &[u32], chosen: &[(u32, f32)], ends: &[u32]) {
        let agreed = draft.iter().zip(chosen).take_while(|(token, choice)| **token == choice.0).count();
        self.written.cost += Cost { passes: 1, proposed: draft.len(), kept: agreed };
        // The cache holds the draft, of which the rest was never written.
        self.cache.forget(draft.len() - agreed);
        self.goes_on = chosen[..=agreed].iter().all(|choice| self.push(*choice, ends));
    }
}

/// Reads the sources, and writes the first token of each.
pub(super) fn begin(network: &Network, tasks: Vec<Task>, ends: &[u32]) -> Result<Vec<Writing>> {
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    let sources: Vec<&[u32]> = tasks.iter().map(|task| task.source.as_slice()).collect();
    let (caches, logits) = network.start(&sources)?;
    let choices = choices(&logits)?;
    let begun = caches.into_iter().zip(tasks).zip(choices).map(|((cache, task), choice)| {
        let drafter = task.copied.map(|copied| Drafter::new(copied, ends.first().copied()));
        let written = Written::default();
        let mut text = Writing { cache, drafter, most: task.most, goes_on: true, written };
        text.take(&[], &[choice], ends);
        text
    });
    Ok(begun.collect())
}

/// One pass over all of `texts` that go on.
pub(super) fn step(network: &Network, texts: &mut [&mut Writing], ends: &[u32]) -> Result<()> {
    let mut active: Vec<&mut Writing> =
        texts.iter_mut().filter(|text| text.goes_on).map(|text| &mut **text).collect();
    if active.is_empty() {
        return Ok(());
    }
    let (mut tokens, mut lengths) = (Vec::new(), Vec::with_capacity(active.len()));
    for text in &active {
        let room = text.most - text.written.tokens.len();
        let draft =
            text.drafter.as_ref().map(|drafter| drafter.propose(active.len(), room)).unwrap_or_default();
        tokens.extend(text.written.tokens.last());
        tokens.extend(&draft);
        lengths.push(1 + draft.len());
    }
    let mut caches: Vec<&mut SequenceCache> = active.iter_mut().map(|text| &mut text.cache).collect();
    let choices = choices(&network.extend(&tokens, &lengths, &mut caches)?)?;
    let mut first = 0;
    for (text, length) in active.into_iter().zip(lengths) {
        let rows = first..first + length;
        first = rows.end;
        text.take(&tokens[rows.start + 1..rows.end], &choices[rows], ends);
    }
    Ok(())
}

/// Does each task: writes tokens up to one of `ends`.
pub(super) fn greedy(network: &Network, tasks: Vec<Task>, ends: &[u32]) -> Result<Vec<Written>> {
    let mut texts = begin(network, tasks, ends)?;
    while texts.iter().any(Writing::goes_on) {
        step(network, &mut texts.iter_mut().collect::<Vec<_>>(), ends)?;
    }
    Ok(texts.into_iter().map(|text| text.written).collect())
}

/// The model's choice in each row of logits: the most probable token, and ln of its probability.
fn choices(logits: &candle_core::Tensor) -> Result<Vec<(u32, f32)>> {
    let rows: Vec<Vec<f32>> = logits.to_dtype(DType::F32)?.to_vec2()?;
    Ok(rows.iter().map(|row| best(row)).collect())
}

/// The most probable token, the first of equals, and ln of its probability.
fn best(logits: &[f32]) -> (u32, f32) {
    let mut top = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[top] {
            top = token;
        }
    }
    let sum: f32 = logits.iter().map(|logit| (logit - logits[top]).exp()).sum();
    (top as u32, -sum.ln())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::model::{Compute, LanguageModel};
    use super::super::settings::LmSettings;
    use super::*;
    use crate::load::LoadOptions;

    /// A small model of random weights.
    fn model(family: &str) -> LanguageModel {
        let config = match family {
            "t5" => {
                json!({"d_model": 32, "d_kv": 8, "d_ff": 48, "num_heads": 4, "num_layers": 2, "num_decoder_layers": 2})
            }
            _ => json!({
                "hidden_size": 32, "intermediate_size": 48, "head_dim": 8, "num_attention_heads": 4,
                "num_key_value_heads": 2, "num_hidden_layers": 2,
            }),
        };
        let settings = LmSettings {
            family: family.to_owned(),
            config: config.as_object().unwrap().clone(),
            ..LmSettings::default()
        };
        LanguageModel::random(&settings, Compute::default(), &LoadOptions::default()).unwrap()
    }

    /// What was written and how sure the model was, to the bit.
    fn bits(written: &Written) -> (Vec<u32>, Vec<u32>, bool) {
        let ln = written.ln_probabilities.iter().map(|p| p.to_bits()).collect();
        (written.tokens.clone(), ln, written.ended)
    }

    /// Whatever is proposed, and whoever is written beside, the text is what one token at a time gives, to the bit.
    #[test]
    fn drafts_change_nothing_but_the_number_of_passes() {
        for family in ["llama", "qwen3", "t5"] {
            let model = model(family);
            let write = |tasks: Vec<Task>| greedy(&model.network, tasks, &model.ends).unwrap();
            let noise = prop::collection::vec((0..60usize, 3..258u32, 0..4u8), 0..12);
            let source = prop::collection::vec(3..258u32, 1..40);
            let texts = prop::collection::vec((source, noise), 1..5);
            let kept = std::cell::Cell::new(0);
            let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(24));
            runner
                .run(&texts, |texts| {
                    let plain: Vec<Written> = texts
                        .iter()
                        .map(|(source, _)| {
                            write(vec![Task { source: source.clone(), copied: None, most: 60 }]).remove(0)
                        })
                        .collect();
                    // Nearly what it will write, as an input is for a trained model.
                    let copied: Vec<Vec<u32>> = plain
                        .iter()
                        .zip(&texts)
                        .map(|(plain, (_, noise))| {
                            let mut tokens = plain.tokens.clone();
                            for &(at, token, kind) in noise.iter().filter(|(at, ..)| *at < plain.tokens.len())
                            {
                                let at = at.min(tokens.len());
                                match kind {
                                    0 => tokens.insert(at, token),
                                    1 if at < tokens.len() => drop(tokens.remove(at)),
                                    2 if at < tokens.len() => tokens[at] = token,
                                    _ => tokens[at..].reverse(),
                                }
                            }
                            tokens
                        })
                        .collect();
                    let tasks: Vec<Task> = texts
                        .iter()
                        .zip(copied)
                        .map(|((source, _), copied)| Task {
                            source: source.clone(),
                            copied: Some(copied),
                            most: 60,
                        })
                        .collect();
                    for (drafted, plain) in write(tasks).iter().zip(&plain) {
                        prop_assert_eq!(bits(drafted), bits(plain));
                        prop_assert!(drafted.cost.passes <= plain.cost.passes);
                        kept.set(kept.get() + drafted.cost.kept);
                    }
                    Ok(())
                })
                .unwrap();
            assert!(kept.get() > 500, "{family}: only {} proposed tokens were kept", kept.get());
        }
    }
}
