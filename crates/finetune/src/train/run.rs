//! The training loop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use corruptor::lock::FileLock;
use corruptor::{Channel, CorruptSettings, Pair, Recipe, Split};
use restorer::RestoreError;
use restorer::train::Trainable;

use super::card::{SourceFacts, source_facts};
use super::evaluation::Evaluation;
use super::finish::finish;
use super::identity::{check_agreement, resolved_keys};
use super::log::StepRecord;
use super::memory;
use super::report::{Report, Window};
use super::state::{Identity, RunState};
use super::state_files::StateFiles;
use super::step::gradients;
use super::together::{Next, newest_of_all, task};
use super::validate::ValidationSets;
use crate::batch::{Batch, BatchPlan, Batches, TrainingPairs, next_step};
use crate::data;
use crate::error::FinetuneError;
use crate::optimizer::Optimizer;
use crate::parallel::{Group, Place};
use crate::progress::Progress;
use crate::schedule::Schedule;
use crate::settings::TrainSettings;
use crate::stop::{Stop, StopReason};
use crate::track::{
    DatasetFacts, End, FlopsPerToken, Machine, RunFacts, TrackOptions, peak_memory_bytes, summary_metrics,
};
use crate::workers::Workers;

/// What to do where the output directory already holds a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It is an error.
    #[default]
    Refuse,
    /// Go on with it; without one, start.
    Resume,
    /// Start anew.
    Overwrite,
}

/// What a run needs besides the model.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// The recipe, with its overrides.
    pub recipe: Recipe,
    /// The directory with the splits `train` and `valid`.
    pub pairs: PathBuf,
    /// The run's directory.
    pub out: PathBuf,
    /// Digest of the model that the weights come from, if they are not new.
    pub init: Option<String>,
    /// What to do with a run that is already there.
    pub existing: Existing,
    /// When to stop early.
    pub stop: Stop,
    /// Worker threads (a model on a GPU uses one).
    pub threads: usize,
    /// Whether to show progress.
    pub progress: bool,
    /// What else the run is shown by.
    pub tracking: TrackOptions,
    /// Which of several processes this one is.
    pub place: Place,
}

/// How a run ended; either way it is saved.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All steps are done, and the checkpoint is complete.
    Finished {
        /// What stands in the checkpoint's metrics.
        metrics: serde_json::Value,
    },
    /// All steps are done, and another process has written what came of them.
    Helped,
    /// Stopped early; `--resume` goes on.
    Stopped {
        /// Why.
        reason: StopReason,
        /// Steps taken.
        step: u64,
    },
}

/// Micro-batches of the next steps, prepared ahead of the loop.
type Steps<E> = Receiver<Result<Vec<Batch<E>>, RestoreError>>;

/// Steps prepared ahead.
const STEPS_AHEAD: usize = 2;

/// Trains `model` as the recipe says; weights of a resumed run replace its own.
///
/// # Errors
/// If the recipe, the pairs or the output directory are not fit for it, if the loss diverges, or if a file cannot be written.
pub fn train<M: Trainable>(model: &M, options: &TrainOptions) -> Result<Outcome, FinetuneError> {
    let mut run = Run::prepare(model, options)?;
    let pairs = std::mem::take(&mut run.train_pairs);
    let plan = BatchPlan {
        seed: run.settings.seed,
        batch_tokens: run.settings.batch_tokens,
        bucket_pairs: run.settings.bucket_pairs,
    };
    let fresh = run.fresh_channel()?;
    let batches = Batches::new(TrainingPairs { model, pairs: &pairs, fresh }, plan, run.state.cursor);
    let step_tokens = run.settings.step_tokens;
    let stopped = std::thread::scope(|scope| {
        let (sender, steps) = sync_channel(STEPS_AHEAD);
        scope.spawn(move || {
            let mut batches = batches.peekable();
            while let Some(step) = next_step(&mut batches, step_tokens) {
                if sender.send(step).is_err() {
                    break;
                }
            }
        });
        run.steps(&steps, &options.stop)
    })?;
    if let Some(reason) = stopped {
        run.report.finish(End::Stopped);
        return Ok(Outcome::Stopped { reason, step: run.state.step });
    }
    if !run.group.leads() {
        return Ok(Outcome::Helped);
    }
    let metrics = finish(&run)?;
    let (step, summary) = (run.state.step, summary_metrics(&metrics));
    let end = End::Finished { step, summary: &summary, checkpoint: &options.out };
    run.report.finish(end);
    Ok(Outcome::Finished { metrics })
}

/// A run under way.
pub(super) struct Run<'a, M> {
    pub(super) model: &'a M,
    pub(super) options: &'a TrainOptions,
    pub(super) settings: TrainSettings,
    pub(super) state: RunState,
    pub(super) files: StateFiles,
    pub(super) validation: ValidationSets,
    pub(super) sources: BTreeMap<String, SourceFacts>,
    pub(super) on_cpu: bool,
    train_pairs: Vec<Pair>,
    pub(super) workers: Workers,
    pub(super) report: Report,
    pub(super) group: Group,
    pub(super) optimizer: Optimizer,
    _lock: Option<FileLock>,
    schedule: Schedule,
    machine: Machine,
    flops_per_token: FlopsPerToken,
    started: Instant,
    elapsed_before_s: f64,
}

impl<'a, M: Trainable> Run<'a, M> {
    /// Reads the pairs, makes the optimizer, and takes up the state of a run that is to go on.
    fn prepare(model: &'a M, options: &'a TrainOptions) -> Result<Self, FinetuneError> {
        let settings: TrainSettings = options.recipe.table("train")?;
        settings.validate()?;
        let channel: CorruptSettings = options.recipe.table("corrupt")?;
        let train_pairs = data::read_split(&options.pairs, Split::Train)?;
        let valid_pairs =
            data::spread(&data::read_split(&options.pairs, Split::Valid)?, settings.valid_pairs);
        let identity = Identity {
            recipe: options.recipe.text().to_owned(),
            train_pairs: data::digest(&train_pairs),
            valid_pairs: data::digest(&valid_pairs),
            init: options.init.clone(),
        };
        let parameters = model.parameters();
        let on_cpu = parameters.iter().all(|(_, var)| var.device().is_cpu());
        if on_cpu {
            memory::check(model, &settings, options.threads, memory::available_bytes())?;
        }
        let mut optimizer = Optimizer::new(parameters, model.tables(), &settings)?;
        let device = model_device(model);
        let mut group = Group::join(&options.place, &task(&identity))?;
        #[cfg(feature = "nccl")]
        group.reduce_on(&device)?;
        let files = StateFiles::of(&options.out);
        let lock = if group.leads() { Some(files.lock()?) } else { None };
        if group.leads() && options.existing == Existing::Overwrite {
            files.clear()?;
        }
        let newest = newest_of_all(&files, &mut group, &options.out)?;
        let resumed_at = newest.as_ref().map(|found| found.state.step);
        let mut passed_over = Vec::new();
        let state = match newest {
            None => RunState::new(identity),
            Some(mut found) if options.existing == Existing::Resume => {
                check_agreement(&options.out, &found.state.identity, &identity)?;
                files.load(&found, model, &mut optimizer)?;
                passed_over = std::mem::take(&mut found.passed_over);
                found.state
            }
            Some(found) => {
                return Err(FinetuneError::OutputTaken { path: options.out.clone(), step: found.state.step });
            }
        };
        let workers = Workers::new(if on_cpu { options.threads } else { 1 })?;
        let sources = source_facts(&train_pairs);
        let facts = RunFacts {
            name: options.out.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            family: model.info().family.clone(),
            directory: options.out.clone(),
            recipe: options.recipe.text().to_owned(),
            parameters: resolved_keys(options.recipe.text())?,
            datasets: datasets(options, &state.identity, &sources, (train_pairs.len(), valid_pairs.len())),
            resumed_at,
            goes_on: options.existing == Existing::Resume,
        };
        let report = if group.leads() {
            let progress = if options.progress {
                Progress::new("train", settings.steps, state.step)
            } else {
                Progress::hidden()
            };
            let log = options.out.join("log.jsonl");
            Report::start(&log, state.log_bytes, &options.tracking, &facts, progress)?
        } else {
            Report::silent()
        };
        for damaged in passed_over {
            report.note(&format!("{damaged}; going on with the state before, of step {}", state.step));
        }
        Ok(Self {
            machine: Machine::of(&device, &workers, options.tracking.peak_flops),
            flops_per_token: FlopsPerToken(model.flops_per_token()),
            schedule: Schedule {
                kind: settings.schedule,
                steps: settings.steps,
                warmup_steps: settings.warmup_steps,
                decay_share: settings.decay_share,
                final_share: settings.final_share,
            },
            validation: ValidationSets::new(valid_pairs, &channel, settings.seed)?,
            workers,
            _lock: lock,
            sources,
            started: Instant::now(),
            elapsed_before_s: state.elapsed_s,
            on_cpu,
            model,
            options,
            settings,
            state,
            files,
            train_pairs,
            report,
            group,
            optimizer,
        })
    }

    /// Seconds of training and evaluation, those before a resume counted.
    pub(super) fn elapsed_s(&self) -> f64 {
        self.elapsed_before_s + self.started.elapsed().as_secs_f64()
    }

    /// The threshold while training evaluates: that of the initial checkpoint, else the recipe's.
    pub(super) fn min_confidence(&self) -> f32 {
        match self.options.init {
            Some(_) => self.model.info().min_confidence,
            None => self.settings.min_confidence,
        }
    }

    /// Steps until the last one, or until there is a reason to stop; the state is saved at the end.
    fn steps(&mut self, steps: &Steps<M::Example>, stop: &Stop) -> Result<Option<StopReason>, FinetuneError> {
        let mut window = Window::default();
        let mut saved = Instant::now();
        let mut skipped_in_a_row = 0;
        let mut stopped = None;
        if self.options.init.is_some() && self.state.best.is_none() {
            self.evaluate(Evaluation::Scheduled)?;
        }
        while self.state.step < self.settings.steps {
            match self.decide(stop)? {
                Next::Step => {}
                Next::Finish => break,
                Next::Stop(reason) => {
                    stopped = Some(reason);
                    break;
                }
            }
            let started = Instant::now();
            let batches = self.next_batches(steps)?;
            let factor = self.schedule.factor(self.state.step);
            let learning_rate = self.settings.learning_rate * factor;
            let table_learning_rate = self.settings.table_learning_rate * factor;

            let step = self.state.step;
            let sum = gradients(
                self.model,
                &self.optimizer,
                &batches,
                &self.workers,
                &self.settings,
                step,
                &mut self.group,
            )?;
            let norm = self.optimizer.step(&sum, self.model.tables(), learning_rate, table_learning_rate)?;

            self.state.step += 1;
            self.state.updates = self.optimizer.dense.updates();
            self.state.tokens += sum.tokens as u64;
            if let Some(last) = batches.last() {
                self.state.cursor = last.next;
            }
            if let Some(norm) = norm {
                skipped_in_a_row = 0;
                let padded = batches.iter().map(|batch| batch.padded_tokens).sum();
                window.add(&sum, padded, started.elapsed());
                self.report_step(&mut window, learning_rate, norm)?;
            } else {
                skipped_in_a_row += 1;
                self.report_skip(skipped_in_a_row)?;
            }
            if self.state.step.is_multiple_of(self.settings.eval_steps)
                || self.state.step == self.settings.steps
            {
                self.evaluate(Evaluation::Scheduled)?;
            }
            if saved.elapsed().as_secs_f64() > self.settings.save_minutes * 60.0 {
                self.save()?;
                saved = Instant::now();
            }
        }
        // A run out of its budget leaves a checkpoint that has learned something, even before its first evaluation.
        if stopped == Some(StopReason::Budget) && self.state.best.is_none_or(|best| best.step == 0) {
            self.evaluate(Evaluation::Interim)?;
        }
        self.save()?;
        Ok(stopped)
    }

    fn next_batches(&self, steps: &Steps<M::Example>) -> Result<Vec<Batch<M::Example>>, FinetuneError> {
        let path = self.options.pairs.join(Split::Train.name());
        let none = |_| FinetuneError::Empty { path, what: "text that gives a training example" };
        Ok(steps.recv().map_err(none)??)
    }

    fn report_step(
        &mut self,
        window: &mut Window,
        learning_rate: f64,
        norm: f64,
    ) -> Result<(), FinetuneError> {
        let tokens_per_second = window.tokens as f64 / window.time.as_secs_f64().max(1e-9);
        let record = StepRecord {
            step: self.state.step,
            epoch: self.state.cursor.epoch,
            loss: window.loss / window.labels.max(1) as f64,
            learning_rate,
            gradient_norm: norm,
            tokens_per_second,
            tokens: self.state.tokens,
            skipped: self.state.skipped,
            utilization: self
                .machine
                .utilization(self.flops_per_token, tokens_per_second / self.group.world() as f64),
            // On a CPU batches are packed; elsewhere attention pads a micro-batch to its longest example.
            padding: if self.on_cpu { 0.0 } else { 1.0 - window.tokens as f64 / window.padded.max(1) as f64 },
            peak_memory_bytes: peak_memory_bytes(),
            elapsed_s: self.elapsed_s(),
        };
        self.report.advance(|| {
            let StepRecord { loss, gradient_norm, tokens_per_second, .. } = record;
            format!(
                "loss {loss:.4} lr {learning_rate:.2e} grad {gradient_norm:.3} {tokens_per_second:.0} tok/s"
            )
        });
        if self.state.step.is_multiple_of(self.settings.log_steps) || self.state.step == self.settings.steps {
            self.report.steps(&record)?;
            *window = Window::default();
        }
        Ok(())
    }

    fn report_skip(&mut self, in_a_row: u32) -> Result<(), FinetuneError> {
        self.state.skipped += 1;
        let step = self.state.step;
        self.report.advance(String::new);
        self.report.note(&format!("step {step}: the loss or its gradient is not finite; update skipped"));
        if in_a_row > self.settings.max_skipped {
            return Err(FinetuneError::Diverged { step, skipped: in_a_row });
        }
        Ok(())
    }

    /// Whether to go on. Process 0 decides for all; a signal to any counts.
    fn decide(&mut self, stop: &Stop) -> Result<Next, FinetuneError> {
        let signalled = self.group.any(stop.is_signalled())?;
        let own = match stop.reason() {
            _ if signalled => Next::Stop(StopReason::Signal),
            Some(reason) => Next::Stop(reason),
            None if self.is_stale() => Next::Finish,
            None => Next::Step,
        };
        Next::of(&self.group.broadcast(vec![own.byte()])?)
    }

    /// Whether the last evaluations have brought nothing new.
    fn is_stale(&self) -> bool {
        let since = self.state.best.map_or(0, |best| self.state.step.saturating_sub(best.step));
        self.settings.patience > 0 && since >= self.settings.patience * self.settings.eval_steps
    }

    /// What corrupts originals anew, if the recipe asks for it.
    fn fresh_channel(&self) -> Result<Option<Channel>, FinetuneError> {
        if !self.settings.fresh_pairs {
            return Ok(None);
        }
        let settings: CorruptSettings = self.options.recipe.table("corrupt")?;
        Ok(Some(Channel::new(&settings)?))
    }

    /// Saves the state; one of several processes does.
    fn save(&mut self) -> Result<(), FinetuneError> {
        if !self.group.leads() {
            return Ok(());
        }
        self.state.elapsed_s = self.elapsed_s();
        self.state.log_bytes = self.report.log_bytes();
        self.files.save(&self.state, self.model, &self.optimizer, self.settings.keep_states)
    }
}

/// The device of a model's weights.
fn model_device<M: Trainable>(model: &M) -> candle_core::Device {
    model.parameters().first().map_or(candle_core::Device::Cpu, |(_, var)| var.device().clone())
}

/// What a run learns from and is measured on.
fn datasets(
    options: &TrainOptions,
    identity: &Identity,
    sources: &BTreeMap<String, SourceFacts>,
    (train, valid): (usize, usize),
) -> Vec<DatasetFacts> {
    let dataset = |split: Split, context, digest: &String, pairs| DatasetFacts {
        name: sources.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        context,
        digest: digest.clone(),
        place: options.pairs.join(split.name()),
        pairs,
    };
    vec![
        dataset(Split::Train, "training", &identity.train_pairs, train),
        dataset(Split::Valid, "validation", &identity.valid_pairs, valid),
    ]
}
