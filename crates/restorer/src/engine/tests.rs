//! Laws of the loop, with a model of which everything is known.

use std::sync::Arc;

use corruptor::{Edit, apply_edits};
use proptest::prelude::*;

use super::*;
use crate::calibration::Calibration;
use crate::restorer::{Priority, Restoration, RestoreOptions, RestoreRequest};
use crate::windows::WindowSize;

/// Turns every x into y, then every y into zz; each window takes a few steps. It fails where it reads `refuse` or `panic`, on the
/// second step, and takes everything that is under way along.
struct Letters;

struct Slow {
    window: Arc<Window>,
    steps: usize,
}

impl Family for Letters {
    type Job<'f> = Slow;

    fn cost(&self, window: &Window) -> Cost {
        Cost { first_tokens: window.text.len() + 1, step_tokens: 4, cache_bytes: 100 + window.text.len() }
    }

    fn begin(&self, windows: &[Arc<Window>]) -> Result<Vec<Slow>, RestoreError> {
        let begin =
            |window: &Arc<Window>| Slow { window: Arc::clone(window), steps: 1 + window.text.len() % 4 };
        Ok(windows.iter().map(begin).collect())
    }

    fn advance(&self, jobs: &mut [&mut Slow]) -> Result<Vec<Option<WindowEdits>>, RestoreError> {
        let advance = |job: &mut Slow| {
            let text = &job.window.text;
            assert!(!text.contains("panic"), "asked to");
            if text.contains("refuse") {
                return Err(RestoreError::Config { key: "test", message: "asked to".to_owned() });
            }
            if job.steps > 0 {
                job.steps -= 1;
                return Ok(None);
            }
            let edit = |(at, byte)| {
                let replacement = match byte {
                    b'x' => "y",
                    b'y' => "zz",
                    _ => return None,
                };
                Some(Edit { start: at, end: at + 1, replacement: replacement.to_owned(), confidence: 0.9 })
            };
            let edits = text.bytes().enumerate().filter_map(edit).collect();
            Ok(Some(WindowEdits { edits, passes: 1, ..WindowEdits::default() }))
        };
        jobs.iter_mut().map(|job| advance(job)).collect()
    }
}

const SETTINGS: DocumentSettings = DocumentSettings {
    size: WindowSize { window_bytes: 32, overlap_bytes: 4 },
    max_rounds: 3,
    looks_once: false,
    remembered_bytes: 0,
    min_confidence: 0.5,
    calibration: None,
    text_calibration: None,
    is_calibrated: false,
};

fn engine(settings: DocumentSettings, limits: EngineLimits) -> Running<'static, Letters> {
    Running::new(&Letters, settings, limits)
}

fn restore(request: &RestoreRequest, settings: DocumentSettings) -> Restoration {
    let engine = Box::new(engine(settings, EngineLimits::default()));
    restore_all(engine, std::slice::from_ref(request)).remove(0).unwrap()
}

fn run(text: &str, options: RestoreOptions) -> Restoration {
    restore(&RestoreRequest::new(text).with_options(options), SETTINGS)
}

fn all_edits() -> RestoreOptions {
    RestoreOptions { min_confidence: Some(0.0), ..RestoreOptions::default() }
}

proptest! {
    #[test]
    fn long_texts_are_restored_whole(text in "[a-cxyé \u{301}\r\n]{0,300}") {
        let restored = run(&text, all_edits());
        prop_assert_eq!(&restored.text, &text.replace(['x', 'y'], "zz"));
        prop_assert_eq!(apply_edits(&text, &restored.edits).unwrap(), restored.text);
    }

    /// Whoever joins and leaves when, and however little room there is: every text is what it is alone.
    #[test]
    fn texts_do_not_notice_each_other(
        texts in prop::collection::vec(("[a-cxy ]{0,120}", 0..12usize, any::<bool>(), any::<bool>()), 1..12),
        step_tokens in 1..200usize,
        cache_bytes in 1..2000usize,
    ) {
        let limits = EngineLimits { step_tokens, cache_bytes };
        let mut engine = engine(SETTINGS, limits);
        let request = |text: &str, is_bulk: bool| {
            let priority = if is_bulk { Priority::Bulk } else { Priority::Interactive };
            RestoreRequest::new(text).with_options(RestoreOptions { priority, ..all_edits() })
        };
        let (mut collector, mut news) = (Collector::default(), Vec::new());
        let mut found = std::collections::HashMap::new();
        let mut step = 0;
        while step < 12 || engine.usage().texts > 0 {
            for (id, (text, joins, is_bulk, leaves)) in texts.iter().enumerate() {
                if *joins == step {
                    engine.join(id as TextId, request(text, *is_bulk));
                }
                if *leaves && joins + 1 == step {
                    engine.leave(id as TextId);
                    collector.forget(id as TextId);
                }
            }
            engine.step(&mut news);
            let usage = engine.usage();
            prop_assert!(usage.cache_bytes <= cache_bytes || usage.windows == 1, "{:?}", usage);
            for (id, restored) in news.drain(..).filter_map(|one| collector.take(one)) {
                found.insert(id as usize, restored.unwrap());
            }
            step += 1;
        }
        prop_assert_eq!(engine.usage(), Usage::default());
        for (id, (text, .., is_bulk, leaves)) in texts.iter().enumerate() {
            match found.get(&id) {
                Some(restored) => prop_assert_eq!(restored, &restore(&request(text, *is_bulk), SETTINGS)),
                None => prop_assert!(*leaves),
            }
        }
    }
}

#[test]
fn pieces_come_in_order_while_later_ones_are_not_yet_looked_at() {
    let text = "abx xyc ay ".repeat(2000);
    let mut engine = engine(SETTINGS, EngineLimits { step_tokens: 400, ..EngineLimits::default() });
    engine.join(7, RestoreRequest::new(text.as_str()).with_options(all_edits()));
    let (mut news, mut steps, mut first, mut most) = (Vec::new(), 0, None, 0);
    let (mut end, mut restored, mut edits) = (0, String::new(), Vec::new());
    while engine.usage().texts > 0 {
        steps += 1;
        engine.step(&mut news);
        most = most.max(engine.usage().windows);
        for one in news.drain(..) {
            match one {
                News::Piece(7, piece) => {
                    first.get_or_insert(steps);
                    assert_eq!(piece.start, end);
                    let own: Vec<Edit> =
                        piece.edits.iter().map(|edit| edit.clone().moved(-end.cast_signed())).collect();
                    assert_eq!(apply_edits(&text[piece.start..piece.end], &own).unwrap(), piece.text);
                    end = piece.end;
                    restored.push_str(&piece.text);
                    edits.extend(piece.edits);
                }
                News::Done(7, summary) => assert!(summary.passes > 1000),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(restored, text.replace(['x', 'y'], "zz"));
    assert_eq!(apply_edits(&text, &edits).unwrap(), restored);
    assert!(first.unwrap() * 20 < steps, "the first piece in step {first:?} of {steps}");
    assert!(most < 100, "{most} windows at once");
}

#[test]
fn what_leaves_is_gone_at_once() {
    let mut engine = engine(SETTINGS, EngineLimits::default());
    let long = "axy ".repeat(500);
    for id in 0..3 {
        engine.join(id, RestoreRequest::new(long.as_str()));
    }
    let mut news = Vec::new();
    engine.step(&mut news);
    assert!(engine.usage().windows > 10 && engine.usage().cache_bytes > 0);
    engine.leave(0);
    engine.leave(2);
    engine.leave(99);
    assert_eq!(engine.usage().texts, 1);
    news.clear();
    while engine.usage().texts > 0 {
        engine.step(&mut news);
    }
    let ids = |one: &News| match one {
        News::Piece(id, _) | News::Done(id, _) | News::Failed(id, _) => *id,
    };
    assert!(news.iter().all(|one| ids(one) == 1));
    assert_eq!(engine.usage(), Usage::default());
}

#[test]
fn who_waits_comes_before_what_can_wait() {
    let mut engine = engine(SETTINGS, EngineLimits { step_tokens: 256, cache_bytes: 1 << 20 });
    let bulk = RestoreOptions { priority: Priority::Bulk, ..RestoreOptions::default() };
    for id in 0..4 {
        engine.join(id, RestoreRequest::new("axy ".repeat(400)).with_options(bulk));
    }
    let mut news = Vec::new();
    (0..3).for_each(|_| engine.step(&mut news));
    engine.join(9, RestoreRequest::new("a sentence of x"));
    news.clear();
    let done = |news: &[News]| news.iter().any(|one| matches!(one, News::Done(9, _)));
    let steps = (1..100).find(|_| {
        engine.step(&mut news);
        done(&news)
    });
    // Three rounds of at most five steps each.
    assert!(steps.unwrap() <= 15, "{steps:?}");
    assert_eq!(engine.usage().texts, 4);
}

#[test]
fn the_text_with_the_least_under_way_comes_first() {
    // There is room for one window, and a long text has taken it before.
    let mut engine = engine(SETTINGS, EngineLimits { step_tokens: 1000, cache_bytes: 140 });
    engine.join(0, RestoreRequest::new("axy ".repeat(400)));
    let mut news = Vec::new();
    (0..3).for_each(|_| engine.step(&mut news));
    for id in 1..4 {
        engine.join(id, RestoreRequest::new("a sentence of x"));
    }
    news.clear();
    // Four texts take turns: each of the short ones has at most three rounds of five steps.
    (0..70).for_each(|_| engine.step(&mut news));
    for id in 1..4 {
        assert!(news.iter().any(|one| matches!(one, News::Done(done, _) if *done == id)), "{id} waits");
    }
    assert_eq!(engine.usage().texts, 1);
}

#[test]
fn a_failure_stays_with_its_text() {
    let texts = ["axb", "a panic x", "y", "x refuse", &"long x ".repeat(40), &"refuse long ".repeat(40)];
    let requests: Vec<_> =
        texts.iter().map(|text| RestoreRequest::new(*text).with_options(all_edits())).collect();
    let found = restore_all(Box::new(engine(SETTINGS, EngineLimits::default())), &requests);
    let text = |at: usize| found[at].as_ref().unwrap().text.as_str();
    assert_eq!([text(0), text(2)], ["azzb", "zz"]);
    assert_eq!(text(4), texts[4].replace('x', "zz"));
    assert!(matches!(&found[1], Err(RestoreError::Panicked(message)) if message == "asked to"));
    assert!(matches!(found[3], Err(RestoreError::Config { .. })));
    assert!(matches!(found[5], Err(RestoreError::Config { .. })));
}

#[test]
fn rounds_multiply_confidence_and_stop_when_nothing_changes() {
    let restored = run("axb", RestoreOptions::default());
    assert_eq!(restored.edits, [Edit { start: 1, end: 2, replacement: "zz".into(), confidence: 0.9 * 0.9 }]);
    assert_eq!(restored.passes, 3);
    assert_eq!(run("abc", RestoreOptions::default()).passes, 1);
    let long = run(&"abc ".repeat(100), RestoreOptions::default());
    assert_eq!(long.passes, 400usize.div_ceil(24), "each window once");
    let rounds = Some(0);
    assert_eq!(run("axb", RestoreOptions { max_rounds: rounds, ..RestoreOptions::default() }).text, "axb");
}

#[test]
fn confidence_is_told_and_held_to_as_it_is_calibrated() {
    let calibration = Calibration { slope: 0.5, intercept: 0.0 };
    let settings = DocumentSettings { calibration: Some(calibration), ..SETTINGS };
    let run = |min_confidence| {
        let options = RestoreOptions { min_confidence: Some(min_confidence), ..RestoreOptions::default() };
        restore(&RestoreRequest::new("ayb").with_options(options), settings)
    };
    // 9 to 1 becomes 3 to 1.
    assert!((run(0.7).edits[0].confidence - 0.75).abs() < 1e-6);
    assert!(run(0.76).edits.is_empty());
    assert_eq!(run(0.0).edits.len(), 1);
    assert!(run(1.0).edits.is_empty());
}

#[test]
fn options_bound_rounds_and_confidence() {
    let one = run("axb", RestoreOptions { max_rounds: Some(1), ..RestoreOptions::default() });
    assert_eq!(one.text, "ayb");
    // The composed edit has 0.81: the first round alone passes, the two together do not.
    let strict = run("axb", RestoreOptions { min_confidence: Some(0.85), ..RestoreOptions::default() });
    assert_eq!((strict.text.as_str(), strict.edits.len()), ("axb", 0));
}

#[test]
fn protected_bytes_stay_in_every_round() {
    let request = RestoreRequest { protected: vec![3..5, 40..99, 4..4], ..RestoreRequest::new("xa xx bx") };
    assert_eq!(restore(&request.with_options(all_edits()), SETTINGS).text, "zza xx bzz");
    let long = "x".repeat(200);
    let request = RestoreRequest { protected: vec![20..60, 50..70], ..RestoreRequest::new(long.as_str()) };
    let expected = ["zz".repeat(20), "x".repeat(50), "zz".repeat(130)].concat();
    assert_eq!(restore(&request.with_options(all_edits()), SETTINGS).text, expected);
}

#[test]
fn an_empty_text_has_a_window() {
    assert_eq!(run("", RestoreOptions::default()).passes, 1);
}
