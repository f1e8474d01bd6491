//! The thread that speaks to the server: it sends, waits where nobody answers, tries again, and gives up only after the run's end.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::model_file::model_file;
use super::queue::{Ending, Point, Points, Shared};
use super::registry::register;
use super::run::{ServerRun, open_run};
use crate::track::records::logged;
use crate::track::{MlflowOptions, RunFacts, TrackError};

/// Most values that the API takes at once.
const BATCH: usize = 1000;
/// Pauses between two tries.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];
/// How long a server is tried after the end of the run where it does not answer.
const GRACE: Duration = Duration::from_secs(5);
/// Files of a run that are no part of its model.
const RUN_FILES: [&str; 2] = ["log.jsonl", "metrics.json"];

/// What has been told about whether the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Nothing,
    Away,
    Back,
}

/// Works off the queue of one run.
#[derive(Debug)]
pub(super) struct Worker {
    client: Client,
    options: MlflowOptions,
    facts: RunFacts,
    jobs: Receiver<Points>,
    shared: Arc<Shared>,
    reach: Reach,
    told_place: bool,
    away: bool,
}

impl Worker {
    pub(super) fn new(
        client: Client,
        options: MlflowOptions,
        facts: RunFacts,
        jobs: Receiver<Points>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { client, options, facts, jobs, shared, reach: Reach::Nothing, told_place: false, away: false }
    }

    /// Works until the queue is closed and empty and the server knows of the end.
    pub(super) fn work(mut self) {
        match self.try_until_answered(|worker| open_run(&worker.client, &worker.options, &worker.facts)) {
            Ok(mut run) => {
                if let Some(note) = run.note.take() {
                    self.shared.note(note);
                }
                self.describe(&run);
                self.catch_up(&run);
                self.work_off(&run);
                self.end(&run);
            }
            Err(error) => {
                if !matches!(error, TrackError::Unreachable { .. }) {
                    self.shared.note(format!("{error}; the training goes on without it"));
                }
                self.shared.lose(self.jobs.iter().count() as u64);
            }
        }
        let lost = self.shared.lost();
        if lost > 0 {
            self.shared.note(format!("{lost} records were not sent"));
        }
    }

    /// Parameters, data and recipe.
    fn describe(&mut self, run: &ServerRun) {
        let parameters: Vec<Value> = run.missing_parameters(&self.facts);
        for chunk in parameters.chunks(100) {
            let body = json!({"run_id": run.id, "params": chunk});
            self.attempt("the parameters", |client| client.post("runs/log-batch", &body).map(|_| ()));
        }
        if !run.has_inputs {
            let body = json!({"run_id": run.id, "datasets": ServerRun::datasets(&self.facts)});
            self.attempt("the datasets", |client| client.post("runs/log-inputs", &body).map(|_| ()));
        }
        let recipe = self.facts.recipe.clone().into_bytes();
        self.put(run, "recipe.toml", |client, place| client.put_bytes(place, recipe.clone()));
    }

    /// Figures up to where the run goes on that the server lacks: they stand in the log, though an earlier call could not send them.
    fn catch_up(&mut self, run: &ServerRun) {
        let Some(resumed_at) = self.facts.resumed_at else { return };
        let log = std::fs::read_to_string(self.facts.directory.join("log.jsonl")).unwrap_or_default();
        let earlier = log.lines().filter_map(logged).filter(|(step, _)| *step <= resumed_at);
        let points: Vec<Point> = earlier.flat_map(|(step, metrics)| Point::all(step, &metrics)).collect();
        self.send_points(run, &points, 1);
    }

    fn work_off(&mut self, run: &ServerRun) {
        while let Ok(mut points) = self.jobs.recv() {
            let mut records = 1;
            while points.len() < BATCH
                && let Ok(more) = self.jobs.try_recv()
            {
                records += 1;
                points.extend(more);
            }
            self.send_points(run, &points, records);
        }
    }

    /// Sends what the server does not have: the steps after a resume may be known from before.
    fn send_points(&mut self, run: &ServerRun, points: &[Point], records: u64) {
        let new: Vec<Value> = points
            .iter()
            .filter(|point| run.last_steps.get(point.name).is_none_or(|last| point.step > *last))
            .map(|Point { name, value, step, timestamp }| {
                json!({"key": name, "value": value, "step": step, "timestamp": timestamp})
            })
            .collect();
        for chunk in new.chunks(BATCH) {
            let body = json!({"run_id": run.id, "metrics": chunk});
            if !self.attempt("figures", |client| client.post("runs/log-batch", &body).map(|_| ())) {
                self.shared.lose(records);
                break;
            }
        }
    }

    /// The run's files, its model, the model's registration, and how it ended.
    fn end(&mut self, run: &ServerRun) {
        let ending = self.shared.ending().map_or(Ending::Failed, |(ending, _)| ending);
        for name in RUN_FILES {
            let path = self.facts.directory.join(name);
            if path.is_file() {
                self.put_file(run, "", &path);
            }
        }
        if let Ending::Finished { checkpoint } = &ending {
            if self.put_model(run, checkpoint) {
                self.register(run);
            } else if self.options.register.is_some() {
                self.shared
                    .note("the model was not registered, since not all of its files were sent".to_owned());
            }
        }
        let status = match ending {
            Ending::Finished { .. } => "FINISHED",
            Ending::Stopped => "KILLED",
            Ending::Failed => "FAILED",
        };
        let body = json!({"run_id": run.id, "status": status, "end_time": super::run::now_ms()});
        self.attempt("the end of the run", |client| client.post("runs/update", &body).map(|_| ()));
    }

    /// The checkpoint's files and what tells the server that they are a model.
    fn put_model(&mut self, run: &ServerRun, checkpoint: &Path) -> bool {
        let lost = self.shared.lost();
        let mut size = 0;
        let entries = std::fs::read_dir(checkpoint).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_file() && !name.starts_with('.') && !RUN_FILES.contains(&&*name) {
                size += path.metadata().map_or(0, |file| file.len());
                self.put_file(run, "model/", &path);
            }
        }
        let file = model_file(&self.facts, &run.id, size);
        let text = crate::track::yaml::block(&file);
        self.put(run, "model/MLmodel", |client, place| client.put_bytes(place, text.clone().into_bytes()));
        let body = json!({"run_id": run.id, "model_json": Value::Object(file).to_string()});
        // Not every server keeps a list of a run's models, and the files are there without it.
        let _ = self.try_until_answered(|worker| worker.client.post("runs/log-model", &body));
        run.artifacts.is_ok() && self.shared.lost() == lost
    }

    fn register(&mut self, run: &ServerRun) {
        let (Some(registration), Ok(place)) = (self.options.register.clone(), &run.artifacts) else { return };
        let source = format!("mlflow-artifacts:/{place}/model");
        match self.try_until_answered(|worker| register(&worker.client, &registration, &source, &run.id)) {
            Ok(version) => {
                let alias =
                    registration.alias.as_ref().map_or_else(String::new, |alias| format!(", @{alias}"));
                self.shared.note(format!("registered as {} version {version}{alias}", registration.name));
            }
            Err(error) => self.shared.note(format!("the model was not registered: {error}")),
        }
    }

    fn put_file(&mut self, run: &ServerRun, folder: &str, path: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.put(run, &format!("{folder}{name}"), |client, place| client.put_file(place, path));
    }

    fn put(&mut self, run: &ServerRun, name: &str, put: impl Fn(&Client, &str) -> Result<(), TrackError>) {
        let sent = match &run.artifacts {
            Ok(place) => {
                let place = format!("{place}/{name}");
                self.attempt(name, |client| put(client, &place))
            }
            Err(place) => {
                if !std::mem::replace(&mut self.told_place, true) {
                    self.shared.note(TrackError::Artifacts { place: place.clone() }.to_string());
                }
                false
            }
        };
        if !sent {
            self.shared.lose(1);
        }
    }

    /// Whether a request went through, in the end; what the server refuses is told.
    fn attempt(&mut self, what: &str, request: impl Fn(&Client) -> Result<(), TrackError>) -> bool {
        match self.try_until_answered(|worker| request(&worker.client)) {
            Ok(()) => true,
            Err(TrackError::Unreachable { .. }) => false,
            Err(error) => {
                self.shared.note(format!("{what}: {error}"));
                false
            }
        }
    }

    /// Tries until the server answers; after the end of the run only for a while. That it does not answer is told once.
    fn try_until_answered<T>(
        &mut self,
        request: impl Fn(&Self) -> Result<T, TrackError>,
    ) -> Result<T, TrackError> {
        let [mut pause, longest] = PAUSES;
        loop {
            match request(self) {
                Err(error @ TrackError::Unreachable { .. }) => {
                    let ended = self.shared.ending();
                    let over = ended.as_ref().is_some_and(|(_, at)| self.away || at.elapsed() >= GRACE);
                    if self.reach == Reach::Nothing {
                        self.shared.note(format!("{error}; the training goes on, and it is tried again"));
                        self.reach = Reach::Away;
                    }
                    if over {
                        self.away = true;
                        return Err(error);
                    }
                    // The end of the run wakes it up.
                    std::thread::park_timeout(if ended.is_some() { PAUSES[0] } else { pause });
                    pause = (2 * pause).min(longest);
                }
                answer => {
                    if self.reach == Reach::Away {
                        self.reach = Reach::Back;
                        self.shared.note(format!("{} answers again", self.client.server()));
                    }
                    self.away = false;
                    return answer;
                }
            }
        }
    }
}
