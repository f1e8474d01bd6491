//! Versions that come, go, break and go back, with models that are scripts.

use super::{
    beside::{Beside, Duty},
    keep,
    track::{Refreshed, RollbackError},
};
use crate::{Kind, scheduler::Limits, testing::Versions};

use super::*;

fn track(name: &str, version: &str) -> (Arc<Versions>, Track) {
    let versions = Arc::new(Versions::default());
    versions.name(version);
    let origin: Arc<Versions> = Arc::clone(&versions);
    (versions, Track::new(name, origin, Limits::default()))
}

fn served(track: &Track) -> String {
    track.current().unwrap().version().to_string()
}

#[tokio::test]
async fn what_its_origin_names_is_served_and_loaded_once() {
    let (versions, track) = track("m", "1");
    assert!(track.current().is_none());
    assert_eq!(track.refresh().await.unwrap(), Refreshed::Swapped);
    assert_eq!(track.refresh().await.unwrap(), Refreshed::Unchanged);
    versions.name("2");
    assert_eq!(track.refresh().await.unwrap(), Refreshed::Swapped);
    assert_eq!(
        (served(&track), versions.loads.lock().unwrap().clone()),
        ("2".into(), vec!["1".into(), "2".to_owned()])
    );
}

#[tokio::test]
async fn a_version_that_fails_its_check_is_refused_once_and_the_old_one_stays() {
    let (versions, track) = track("m", "1");
    track.refresh().await.unwrap();
    versions.broken.lock().unwrap().push("2".to_owned());
    versions.name("2");
    assert!(track.refresh().await.is_err());
    assert_eq!(track.refresh().await.unwrap(), Refreshed::Unchanged);
    assert_eq!((served(&track), versions.loads.lock().unwrap().len()), ("1".to_owned(), 2));
    versions.name("3");
    assert_eq!(track.refresh().await.unwrap(), Refreshed::Swapped);
    assert_eq!(served(&track), "3");
}

#[tokio::test]
async fn who_goes_back_stays_back_until_another_version_is_named() {
    let (versions, track) = track("m", "1");
    track.refresh().await.unwrap();
    assert!(matches!(track.roll_back().await, Err(RollbackError::OnlyOne(_))));
    versions.name("2");
    track.refresh().await.unwrap();
    assert_eq!(track.roll_back().await.unwrap().version().to_string(), "1");
    assert_eq!(track.refresh().await.unwrap(), Refreshed::Unchanged);
    assert_eq!(served(&track), "1");
    assert_eq!(track.roll_back().await.unwrap().version().to_string(), "2");
    track.roll_back().await.unwrap();
    // Named on purpose, the version that is served may be left again.
    versions.name("1");
    track.refresh().await.unwrap();
    versions.name("2");
    assert_eq!(track.refresh().await.unwrap(), Refreshed::Swapped);
    assert_eq!(served(&track), "2");
    versions.broken.lock().unwrap().push("1".to_owned());
    assert!(matches!(track.roll_back().await, Err(RollbackError::Load(_))));
    assert_eq!(served(&track), "2");
}

#[tokio::test]
async fn who_holds_a_version_is_answered_by_it_after_another_took_its_place() {
    let (versions, track) = track("m", "1");
    track.refresh().await.unwrap();
    let held = track.current().unwrap();
    versions.name("2");
    track.refresh().await.unwrap();
    let ticket = held.scheduler().submit(vec![RestoreRequest::new("late")], &Client::default()).unwrap();
    drop(held);
    assert_eq!(ticket.wait().await.unwrap().restorations[0].text, "late");
    assert_eq!(served(&track), "2");
}

#[tokio::test]
async fn texts_are_shared_out_by_what_they_are() {
    let beside = |name: &str, duty| Beside { track: Arc::new(track(name, name).1), duty };
    let slot = Slot::new(
        track("first", "first").1,
        vec![
            beside("answers", Duty::Answers(0.25)),
            beside("watches", Duty::Watches(0.5)),
            beside("rests", Duty::Answers(0.0)),
        ],
    );
    let models = Models::new(slot, vec![Slot::new(track("other", "other").1, Vec::new())]);
    let error = models.answering(None, "").err().unwrap();
    assert_eq!(error.kind, Kind::Unavailable);
    keep::load(&models).await.unwrap();
    let texts: Vec<String> = (0..2000).map(|at| format!("text {at}")).collect();
    let by = |text: &String| models.answering(None, text).unwrap().name().to_owned();
    let answered = texts.iter().filter(|text| by(text) == "answers").count();
    assert!((400..600).contains(&answered), "{answered}");
    assert!(
        texts.iter().all(|text| ["answers", "first"].contains(&by(text).as_str()) && by(text) == by(text))
    );
    let requests: Vec<_> = texts.iter().map(RestoreRequest::new).collect();
    let watched = models.watching(Some("first"), &requests, &Client::default()).len();
    assert!((900..1100).contains(&watched), "{watched}");
    assert_eq!(models.watching(Some("other"), &requests, &Client::default()).len(), 0);
    // By its own name each is reached, and all of them are listed.
    assert_eq!(models.answering(Some("watches"), "").unwrap().name(), "watches");
    let error = models.get(Some("nobody")).err().unwrap();
    assert!(error.detail.contains("`first`, `answers`, `watches`, `rests` and `other`"), "{}", error.detail);
}
