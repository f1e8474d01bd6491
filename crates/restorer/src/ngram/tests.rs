//! Laws of the counted prior: it is a distribution, it agrees with its definition, and it depends on the counts alone.

use std::collections::HashMap;

use proptest::prelude::*;

use super::entry::START;
use super::{BuildError, BuildOptions, Built, Counter, Pruning, RawCounts, Smoothing, build};
use crate::prior::{END, Prior as _, Ranked, bits, is_symbol};

const TEXT: &str = "In the beginning there was the word, and the word was with them all. They said: “naïve”, and the \
    people of the Union laughed at the whale. It is the duty of every citizen to read the laws of the land. ";

fn count<S: AsRef<str>>(texts: &[S], order: usize) -> RawCounts {
    let mut counter = Counter::new(order);
    for text in texts {
        counter.add(text.as_ref()).unwrap();
    }
    counter.finish().unwrap()
}

fn built(counts: &RawCounts, max_bytes: u64, smoothing: Smoothing, pruning: Pruning) -> Built {
    let options = BuildOptions { max_bytes, smoothings: vec![smoothing], prunings: vec![pruning] };
    build(counts, &options, |_| 0.0).unwrap()
}

/// Σ over all symbols of their probability after a state.
fn total(built: &Built, node: u32) -> f64 {
    let symbols = (0..=u8::MAX).filter(|symbol| is_symbol(*symbol));
    symbols.map(|symbol| f64::from(built.model.step(node, symbol).0).exp()).sum()
}

/// The interpolated Witten–Bell probability by its definition.
fn witten_bell(counts: &HashMap<Vec<u8>, u64>, context: &[u8], symbol: u8) -> f64 {
    let uniform = 1.0 / 245.0;
    let following: Vec<u64> = (0..=u8::MAX)
        .filter(|symbol| *symbol != START)
        .filter_map(|symbol| counts.get(&[context, &[symbol]].concat()).copied())
        .collect();
    let below = if context.is_empty() { uniform } else { witten_bell(counts, &context[1..], symbol) };
    let (total, kinds) = (following.iter().sum::<u64>() as f64, following.len() as f64);
    if following.is_empty() {
        return below;
    }
    let own = counts.get(&[context, &[symbol]].concat()).copied().unwrap_or(0) as f64;
    (own + kinds * below) / (total + kinds)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn after_every_state_probabilities_sum_to_one(
        texts in prop::collection::vec("[ab é\\PC]{0,40}", 1..12),
        order in 2usize..=10,
        max_bytes in 9_000u64..60_000,
        which in 0usize..4,
    ) {
        let (smoothing, pruning) = (Smoothing::ALL[which % 2], Pruning::ALL[which / 2]);
        let built = built(&count(&texts, order), max_bytes, smoothing, pruning);
        prop_assert!(built.file.len() as u64 <= max_bytes + 1_024, "{} bytes", built.file.len());
        for node in 0..built.model.nodes() as u32 {
            let total = total(&built, node);
            prop_assert!((total - 1.0).abs() < 2e-3, "{smoothing} {pruning:?}: node {node}: {total}");
        }
        prop_assert!(texts.iter().all(|text| bits(&built.model, text).is_finite()));
    }

    #[test]
    fn without_pruning_it_is_its_definition(texts in prop::collection::vec("[abcé]{0,12}", 1..6), order in 2usize..=5) {
        let built = built(&count(&texts, order), 1 << 20, Smoothing::WittenBell, Pruning::Count);
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        for text in &texts {
            let symbols: Vec<u8> = [START].into_iter().chain(text.bytes()).chain([END]).collect();
            for length in 1..=order {
                symbols.windows(length).for_each(|gram| *counts.entry(gram.to_vec()).or_default() += 1);
            }
        }
        for text in &texts {
            let symbols: Vec<u8> = [START].into_iter().chain(text.bytes()).chain([END]).collect();
            let mut state = built.model.start();
            for at in 1..symbols.len() {
                let context = &symbols[(at + 1).saturating_sub(order)..at];
                let (ln, next) = built.model.step(state, symbols[at]);
                let p = witten_bell(&counts, context, symbols[at]);
                let odds = |p: f64| (p / (1.0 - p)).ln();
                // A code is an eighth of log-odds; what is not seen backs off over several.
                prop_assert!((odds(f64::from(ln).exp()) - odds(p)).abs() < 0.2, "{context:?} {ln} {p}");
                state = next;
            }
        }
    }

    #[test]
    fn equal_counts_give_equal_models(
        texts in prop::collection::vec("[abc é]{0,30}", 2..10), block in 3usize..200, memory in 0usize..300, cut in 0usize..10
    ) {
        let whole = count(&texts, 6);
        let mut parts = {
            let mut counter = Counter::new(6).with_limits(block, memory);
            texts[..cut.min(texts.len())].iter().for_each(|text| counter.add(text).unwrap());
            counter.finish().unwrap()
        };
        parts.add(count(&texts[cut.min(texts.len())..], 6)).unwrap();
        let model = |counts: &RawCounts| built(counts, 20_000, Smoothing::ModifiedDiscounting, Pruning::Entropy).file;
        prop_assert_eq!(model(&whole), model(&parts));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_likely_is_what_the_steps_say(
        texts in prop::collection::vec("[abcd é\\PC]{0,40}", 1..12),
        max_bytes in 9_000u64..40_000,
        most in prop_oneof![1usize..6, Just(usize::MAX)],
        least in prop_oneof![-9.0f64..0.0, Just(f64::NEG_INFINITY)],
    ) {
        let model = built(&count(&texts, 6), max_bytes, Smoothing::KneserNey, Pruning::Entropy).model;
        let nodes: Vec<(u32, f64)> = (0..model.nodes() as u32).map(|node| (node, least)).collect();
        let mut found = Ranked::default();
        model.likely(&nodes, most, &mut found);
        for (node, _) in nodes {
            let mut all: Vec<(u8, f64, u32)> = (0..=u8::MAX)
                .filter(|symbol| is_symbol(*symbol))
                .map(|symbol| (symbol, model.step(node, symbol)))
                .map(|(symbol, (ln, next))| (symbol, f64::from(ln), next))
                .collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(most);
            all.retain(|(_, ln, _)| *ln >= least);
            prop_assert_eq!(found.of(node as usize), all.as_slice());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// What was read so far matters as far as the longest context that is known.
    #[test]
    fn a_state_is_the_longest_known_context(
        texts in prop::collection::vec("[abc é]{0,40}", 1..12),
        text in "[abcé]{0,20}",
        max_bytes in 9_000u64..12_000,
        which in 0usize..2,
    ) {
        let model = built(&count(&texts, 6), max_bytes, Smoothing::WittenBell, Pruning::ALL[which]).model;
        let known = model.contexts();
        let (mut state, mut read) = (0, Vec::new());
        for symbol in text.bytes() {
            state = model.step(state, symbol).1;
            read.push(symbol);
            let longest = (0..=read.len()).find_map(|from| known.iter().position(|context| *context == read[from..]));
            prop_assert_eq!(Some(state as usize), longest);
        }
    }
}

#[test]
fn it_predicts_what_it_has_read_and_ends_where_texts_ended() {
    let texts: Vec<String> =
        (0..40).map(|i| format!("{}{i}.", &TEXT[..TEXT.floor_char_boundary(60 + i)])).collect();
    let counts = count(&texts, 8);
    let cost = |built: &Built| bits(&built.model, &texts[3]) / texts[3].len() as f64;
    let large = built(&counts, 1 << 20, Smoothing::WittenBell, Pruning::Entropy);
    let small = built(&counts, 11_000, Smoothing::WittenBell, Pruning::Entropy);
    assert!(cost(&large) < 0.5, "{}", cost(&large));
    assert!(cost(&small) > cost(&large) && small.model.arcs() < large.model.arcs());
    let after =
        |text: &str| text.bytes().fold(large.model.start(), |node, byte| large.model.step(node, byte).1);
    let end = |text: &str| large.model.step(after(text), END).0;
    assert!(
        end("In the beginning there was the word, and the word was with them 7.") > end("In the beginning")
    );
}

#[test]
fn what_cannot_be_built_says_why() {
    let nothing = Counter::new(5).finish().unwrap();
    assert!(matches!(build(&nothing, &BuildOptions::new(1 << 20), |_| 0.0), Err(BuildError::NoText)));
    let counts = count(&[TEXT], 5);
    let error = build(&counts, &BuildOptions::new(100), |_| 0.0).unwrap_err().to_string();
    assert!(error.contains("100 bytes") && error.contains("model.max_mib"), "{error}");
}

#[test]
fn damaged_tables_are_refused() {
    use super::NgramModel;
    use crate::bytes::SharedBytes;
    use std::path::Path;
    let built = built(&count(&[TEXT], 6), 1 << 20, Smoothing::WittenBell, Pruning::Entropy);
    let open = |bytes: Vec<u8>| NgramModel::from_bytes(SharedBytes::from(bytes), Path::new("m")).map(drop);
    open(built.file.clone()).unwrap();
    for length in (0..built.file.len()).step_by(97) {
        let error = open(built.file[..length].to_vec()).unwrap_err().to_string();
        assert!(error.starts_with("m: "), "{error}");
    }
    // No damage may panic, whether or not it is found.
    for at in (0..built.file.len()).step_by(31) {
        let mut damaged = built.file.clone();
        damaged[at] ^= 0x55;
        let bytes = SharedBytes::from(damaged);
        if let Ok(model) = NgramModel::from_bytes(bytes, Path::new("m")) {
            let _ = bits(&model, TEXT);
        }
    }
}
