//! What a user notices of channel decoding.

use corruptor::{Channel, ConfusionChoice, ConfusionRow, CorruptSettings, Op, RecordStream, apply_edits};

use super::ChannelRestorer;
use crate::checkpoint::CheckpointFiles;
use crate::load::LoadOptions;
use crate::ngram::{BuildOptions, Counter, NgramModel, Pruning, Smoothing, build};
use crate::restorer::{RestoreOptions, RestoreRequest, Restorer as _};
use crate::train::CheckpointMeta;

/// Sentences of one kind: what a prior of them expects is plain.
fn text(from: usize, sentences: usize) -> String {
    const WHO: [&str; 7] = [
        "The miller",
        "A sailor",
        "The old queen",
        "My neighbour",
        "The judge",
        "Nobody",
        "The “naïve” thief",
    ];
    const DOES: [&str; 5] = ["remembers", "has forgotten", "often mentions", "never believed", "wrote down"];
    const WHAT: [&str; 11] = [
        "the harvest",
        "every promise",
        "the storm of that year",
        "the price of bread",
        "his brother",
        "the road home",
        "the last ship",
        "the law",
        "her answer",
        "the second letter",
        "what was said",
    ];
    let sentence = |i: usize| format!("{} {} {}. ", WHO[i % 7], DOES[i / 2 % 5], WHAT[i * 3 % 11]);
    (from..from + sentences).map(sentence).collect()
}

fn checkpoint() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut counter = Counter::new(8);
    (0..200).for_each(|i| counter.add(text(i, 3 + i % 5).trim_end()).unwrap());
    let options = BuildOptions {
        max_bytes: 1 << 20,
        smoothings: vec![Smoothing::KneserNey],
        prunings: vec![Pruning::Count],
    };
    let built = build(&counter.finish().unwrap(), &options, |_| 0.0).unwrap();
    let meta = CheckpointMeta {
        recipe: "[corrupt]\nclean_share = 0.2\n".to_owned(),
        min_confidence: 0.5,
        ..CheckpointMeta::default()
    };
    built.save(dir.path(), 8, &meta).unwrap();
    dir
}

fn restorer(dir: &std::path::Path, threads: usize) -> ChannelRestorer<NgramModel> {
    let options = LoadOptions { threads: Some(threads), ..LoadOptions::default() };
    ChannelRestorer::of_ngrams(&CheckpointFiles::read(dir).unwrap(), &options).unwrap()
}

/// Corrupted texts with their originals.
fn pairs() -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (i, op) in (0..40).zip(Op::ALL.into_iter().cycle()) {
        let settings = CorruptSettings::default().only(op);
        let channel = Channel::new(&settings).unwrap();
        let original = text(i * 5, 2 + i % 4).trim_end().to_owned();
        let corrupted =
            channel.corrupt(&original, 0, &mut RecordStream::for_purpose(i as u64, "channel tests")).text;
        pairs.push((original, corrupted));
    }
    pairs
}

/// The corrupted texts as one.
fn all_corrupted() -> String {
    pairs().into_iter().map(|(_, corrupted)| corrupted + " ").collect()
}

#[test]
fn it_undoes_every_operation_and_leaves_clean_text_alone() {
    let dir = checkpoint();
    let restorer = restorer(dir.path(), 1);
    let restore = |text: &str| restorer.restore(&[RestoreRequest::new(text)]).unwrap().remove(0);
    let (mut before, mut after) = (0, 0);
    for (original, corrupted) in pairs() {
        let restored = restore(&corrupted);
        assert_eq!(apply_edits(&corrupted, &restored.edits).unwrap(), restored.text);
        assert!(restored.edits.iter().all(|edit| (0.5..=1.0).contains(&edit.confidence)), "{restored:?}");
        before += corruptor::grapheme_distance(&original, &corrupted);
        after += corruptor::grapheme_distance(&original, &restored.text);
        let clean = restore(&original);
        assert_eq!((clean.text.as_str(), clean.edits.len()), (original.as_str(), 0));
        assert!(clean.confidence > 0.5, "{clean:?}");
    }
    assert!(before > 100 && after * 10 < before, "{before} errors, then {after}");
    for strange in ["", "\u{301}", "日本語のテキスト", "\r\n\0\u{7f}", "zzzzqqqq 🇩🇪🇩🇪👩‍👧 \u{301}\u{301}"]
    {
        let restored = restore(strange);
        assert_eq!(apply_edits(strange, &restored.edits).unwrap(), restored.text);
    }
}

#[test]
fn rows_of_a_confusion_table_are_undone() {
    let dir = checkpoint();
    let row = |from: &str, to: &str| ConfusionRow { from: from.to_owned(), to: to.to_owned(), weight: 1 };
    let rows = |rows: Vec<ConfusionRow>| {
        let channel =
            CorruptSettings { confusions: Some(ConfusionChoice::Rows(rows)), ..CorruptSettings::default() };
        let options = LoadOptions { channel: Some(channel.into()), ..LoadOptions::default() };
        ChannelRestorer::of_ngrams(&CheckpointFiles::read(dir.path()).unwrap(), &options)
    };
    let restorer = rows(vec![row("m", "rn"), row("cl", "d"), row("ll", "U")]).unwrap();
    for (damaged, original) in [
        (
            "The old queen often rnentions the storrn of that year.",
            "The old queen often mentions the storm of that year.",
        ),
        ("The miUer has forgotten the last ship.", "The miller has forgotten the last ship."),
    ] {
        assert_eq!(restorer.restore(&[RestoreRequest::new(damaged)]).unwrap()[0].text, original);
    }
    let error = rows(vec![row("m", "rn"), row("'", "")]).unwrap_err().to_string();
    assert!(error.contains("corrupt.confusions") && error.contains("leaves nothing"), "{error}");
}

#[test]
fn neither_threads_nor_the_batch_matter() {
    let dir = checkpoint();
    let (one, two) = (restorer(dir.path(), 1), restorer(dir.path(), 2));
    let long: String = all_corrupted();
    let texts: Vec<String> =
        pairs().into_iter().map(|(_, corrupted)| corrupted).chain([long.repeat(3)]).collect();
    let requests: Vec<RestoreRequest> = texts.iter().map(RestoreRequest::new).collect();
    let together = two.restore(&requests).unwrap();
    assert_eq!(one.restore(&requests).unwrap(), together);
    for (request, restored) in requests.iter().zip(&together) {
        assert_eq!(&one.restore(std::slice::from_ref(request)).unwrap()[0], restored);
    }
}

#[test]
fn windows_hardly_show() {
    let dir = checkpoint();
    let text: String = all_corrupted().repeat(2);
    let mut restorer = restorer(dir.path(), 1);
    let cut = restorer.restore(&[RestoreRequest::new(text.clone())]).unwrap().remove(0);
    assert!(cut.passes > 4, "{} windows", cut.passes);
    restorer.size.window_bytes = text.len();
    let whole = restorer.restore(&[RestoreRequest::new(text.clone())]).unwrap().remove(0);
    let distance = corruptor::grapheme_distance(&whole.text, &cut.text);
    assert!(distance * 1000 <= text.len(), "{distance} of {} characters", text.len());
}

#[test]
fn a_threshold_keeps_the_edits_above_it() {
    let dir = checkpoint();
    let restorer = restorer(dir.path(), 1);
    let (_, corrupted) = pairs().remove(1);
    let edits = |least: f32| {
        let options = RestoreOptions { min_confidence: Some(least), ..RestoreOptions::default() };
        restorer.restore(&[RestoreRequest::new(&corrupted).with_options(options)]).unwrap().remove(0).edits
    };
    let all = edits(0.0);
    assert!(!all.is_empty());
    let strict = edits(0.9);
    assert!(strict.iter().all(|edit| edit.confidence >= 0.9 && all.contains(edit)));
    assert!(edits(1.1).is_empty());
}

#[test]
fn protected_spans_are_copied() {
    let dir = checkpoint();
    let restorer = restorer(dir.path(), 1);
    for (_, corrupted) in pairs() {
        let plain = restorer.restore(&[RestoreRequest::new(&corrupted)]).unwrap().remove(0);
        for edit in &plain.edits {
            let span = edit.start.saturating_sub(2)..edit.end + 2;
            let request = RestoreRequest { protected: vec![span.clone()], ..RestoreRequest::new(&corrupted) };
            let span = corrupted.floor_char_boundary(span.start)..corrupted.ceil_char_boundary(span.end);
            let restored = restorer.restore(&[request]).unwrap().remove(0);
            for edit in &restored.edits {
                let is_outside = edit.end <= span.start || edit.start >= span.end;
                assert!(is_outside, "{corrupted:?}: {edit:?} in {span:?}");
            }
        }
    }
}

#[test]
fn alternatives_are_other_originals_in_order() {
    let dir = checkpoint();
    let restorer = restorer(dir.path(), 1);
    let options = RestoreOptions { alternatives: 5, ..RestoreOptions::default() };
    let mut found = 0;
    for (_, corrupted) in pairs() {
        let restored =
            restorer.restore(&[RestoreRequest::new(&corrupted).with_options(options)]).unwrap().remove(0);
        let others = &restored.alternatives;
        assert!(others.len() <= 5 && others.iter().all(|other| other.text != restored.text));
        assert!(
            others
                .windows(2)
                .all(|pair| pair[0].probability >= pair[1].probability && pair[0].text != pair[1].text)
        );
        let total: f32 = others.iter().map(|other| other.probability).sum();
        assert!(total <= 1.0 + 1e-5, "{total}");
        found += others.len();
        let plain = restorer.restore(&[RestoreRequest::new(&corrupted)]).unwrap().remove(0);
        assert!(plain.alternatives.is_empty() && plain.edits == restored.edits);
    }
    assert!(found > 30, "{found}");
}
