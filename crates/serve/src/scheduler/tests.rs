//! Order, bounds, cancellation, failure and draining, with a model that blocks and fails on command.

use super::*;
use crate::{
    TextError,
    testing::{Gate, Script, request},
};

struct Bench {
    scheduler: Scheduler,
    model: Arc<Script>,
    gate: Arc<Gate>,
}

fn bench(limits: Limits) -> Bench {
    let model = Arc::new(Script::default());
    let scheduler = Scheduler::start(Arc::clone(&model) as Arc<dyn Restorer>, limits, "script").unwrap();
    Bench { scheduler, gate: model.gate(), model }
}

impl Bench {
    fn submit(&self, texts: &[&str]) -> Result<Ticket, SubmitError> {
        self.scheduler.submit(texts.iter().map(|text| request(text)).collect(), &Client::default())
    }

    /// Makes the engine busy until the gate opens.
    fn occupy(&self) -> Ticket {
        self.gate.shut();
        let ticket = self.submit(&["busy"]).unwrap();
        self.gate.wait_for_batch();
        ticket
    }

    fn batches(&self) -> Vec<String> {
        self.model.batches.lock().unwrap().iter().map(|batch| batch.join(" ")).collect()
    }
}

fn wait(ticket: Ticket) -> Result<Vec<String>, AnswerError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answered = runtime.block_on(ticket.wait())?;
    Ok(answered.restorations.into_iter().map(|restoration| restoration.text).collect())
}

fn limits(queue_texts: usize, queue_tokens: usize, batch_texts: usize, batch_tokens: usize) -> Limits {
    Limits { queue_texts, queue_tokens, batch_texts, batch_tokens, ..Limits::default() }
}

#[test]
fn what_gathers_while_the_model_works_becomes_the_next_batch() {
    let bench = bench(limits(100, 1000, 100, 12));
    let busy = bench.occupy();
    let tickets: Vec<_> = [vec!["one", "two"], vec!["three"], vec!["four", "five"]]
        .iter()
        .map(|texts| bench.submit(texts).unwrap())
        .collect();
    bench.gate.open();
    let answers: Vec<_> = tickets.into_iter().map(|ticket| wait(ticket).unwrap()).collect();
    assert_eq!(answers, [vec!["one", "two"], vec!["three"], vec!["four", "five"]]);
    assert_eq!(wait(busy).unwrap(), ["busy"]);
    assert_eq!(bench.batches(), ["busy", "one two three", "four five"]);
}

#[test]
fn a_cancelled_request_is_never_started() {
    let bench = bench(Limits::default());
    let busy = bench.occupy();
    let left = bench.submit(&["left", "behind"]).unwrap();
    let kept = bench.submit(&["kept"]).unwrap();
    drop(left);
    bench.gate.open();
    wait(kept).unwrap();
    wait(busy).unwrap();
    assert_eq!(bench.batches(), ["busy", "kept"]);
}

#[test]
fn a_text_under_way_is_given_up_within_a_step_when_its_client_leaves() {
    let bench = bench(limits(10, 100, 1, 100));
    let left = bench.submit(&["endless"]).unwrap();
    let kept = bench.submit(&["kept"]).unwrap();
    drop(left);
    assert_eq!(wait(kept).unwrap(), ["kept"]);
}

#[test]
fn a_text_joins_while_another_is_under_way() {
    let bench = bench(Limits::default());
    let _busy = bench.submit(&["endless"]).unwrap();
    assert_eq!(wait(bench.submit(&["short"]).unwrap()).unwrap(), ["short"]);
}

#[test]
fn the_queue_is_bounded_in_texts_and_tokens_and_says_when_to_come_back() {
    let bench = bench(limits(2, 10, 1, 8));
    let _busy = bench.occupy();
    let _waiting = bench.submit(&["aaaaaa"]).unwrap();
    let full = bench.submit(&["bbbbb"]).unwrap_err();
    assert!(
        matches!(full, SubmitError::Full { texts: 1, tokens: 6, retry_after } if retry_after >= Duration::from_secs(1))
    );
    assert!(matches!(bench.submit(&["b", "c"]).unwrap_err(), SubmitError::Full { .. }));
    let _also = bench.submit(&["b"]).unwrap();
    for too_large in [&["a", "b", "c"][..], &["elevenbytes"]] {
        assert!(matches!(
            bench.submit(too_large).unwrap_err(),
            SubmitError::TooLarge { max_texts: 2, max_tokens: 10, .. }
        ));
    }
    bench.gate.open();
}

#[test]
fn an_empty_text_counts_and_an_empty_request_is_answered_at_once() {
    let bench = bench(limits(2, 4, 1, 8));
    let _busy = bench.occupy();
    assert_eq!(wait(bench.submit(&[]).unwrap()).unwrap(), [""; 0]);
    let _waiting = bench.submit(&["", ""]).unwrap();
    assert!(matches!(bench.submit(&[""]).unwrap_err(), SubmitError::Full { tokens: 2, .. }));
    bench.gate.open();
}

#[test]
fn a_panic_is_answered_and_the_engine_goes_on() {
    let bench = bench(Limits::default());
    let busy = bench.occupy();
    let bad = bench.submit(&["fine", "panic"]).unwrap();
    let refused = bench.submit(&["refuse"]).unwrap();
    let neighbour = bench.submit(&["neighbour"]).unwrap();
    bench.gate.open();
    assert!(matches!(wait(bad), Err(AnswerError::Text { index: 1, error: TextError::Panicked(_) })));
    assert!(matches!(wait(refused), Err(AnswerError::Text { index: 0, error: TextError::Refused(_) })));
    assert_eq!(wait(neighbour).unwrap(), ["neighbour"]);
    assert!(bench.scheduler.is_alive() && bench.scheduler.is_open());
    assert_eq!(wait(bench.submit(&["later"]).unwrap()).unwrap(), ["later"]);
    drop(busy);
}

#[test]
fn draining_answers_what_waits_and_takes_nothing_more() {
    let bench = bench(limits(10, 100, 1, 100));
    let busy = bench.occupy();
    let waiting = bench.submit(&["a", "b", "c"]).unwrap();
    bench.scheduler.close();
    assert_eq!(bench.submit(&["late"]).unwrap_err(), SubmitError::Closed);
    assert!(bench.scheduler.is_alive());
    bench.gate.open();
    bench.scheduler.drain();
    assert!(!bench.scheduler.is_alive());
    assert_eq!(wait(busy).unwrap(), ["busy"]);
    assert_eq!(wait(waiting).unwrap(), ["a", "b", "c"]);
    assert_eq!(bench.batches(), ["busy", "a", "b", "c"]);
}

#[test]
fn many_clients_each_get_their_own_answers() {
    let bench = bench(limits(1000, 100_000, 7, 64));
    std::thread::scope(|scope| {
        for client in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                for turn in 0..20 {
                    let texts = [format!("{client}:{turn}"), format!("{turn}:{client}")];
                    let ticket = bench.submit(&[&texts[0], &texts[1]]).unwrap();
                    assert_eq!(wait(ticket).unwrap(), texts);
                }
            });
        }
    });
    let sizes: Vec<_> = bench.model.batches.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 320);
    assert!(sizes.iter().all(|&size| size <= 7));
}
