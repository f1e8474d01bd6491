//! The tables [[model]] of a file: models, and those beside them.

use std::{path::PathBuf, sync::Arc};

use restorer::source::ModelName;
use serde::{Deserialize, Serialize};

use crate::{
    cli::ModelArgs,
    failure::Failure,
    models::{
        beside::{Beside, Duty, Slot},
        checkpoint::{Checkpoint, Judge},
        golden::Golden,
        track::Track,
    },
    scheduler::Limits,
};

/// A model of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// What requests call it; the first of the file answers those that name none.
    pub name: String,
    /// Where it comes from, as `--model` has it; the checkpoint in the program unless given.
    pub source: Option<String>,
    /// As `--channel`.
    pub channel: Option<PathBuf>,
    /// As `--rerank`.
    pub rerank: Option<String>,
    /// As `--golden`.
    pub golden: Option<PathBuf>,
    /// As `--golden-share`.
    pub golden_share: Option<f64>,
    /// Models that answer a share of its texts, or watch.
    #[serde(default)]
    pub beside: Vec<BesideEntry>,
}

/// A model beside another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BesideEntry {
    /// What requests that want this one call it.
    pub name: String,
    /// Where it comes from, as `--model` has it.
    pub source: String,
    /// Share of the texts that it answers, in [0, 1].
    pub answers: Option<f64>,
    /// Share of the texts that it gets beside the one that answers, in [0, 1].
    pub watches: Option<f64>,
}

/// A model as it was declared, in a file or by flags.
pub struct Declared {
    /// What requests call it.
    pub name: String,
    /// Where it comes from.
    pub checkpoint: Checkpoint,
    /// Those beside it.
    pub beside: Vec<(String, Checkpoint, Duty)>,
}

impl Declared {
    /// The model and those beside it, none of them loaded.
    pub fn slot(self, limits: Limits) -> Slot {
        let track = |name, checkpoint| Track::new(name, Arc::new(checkpoint), limits);
        let beside = self
            .beside
            .into_iter()
            .map(|(name, checkpoint, duty)| Beside { track: Arc::new(track(name, checkpoint)), duty });
        let beside = beside.collect();
        Slot::new(track(self.name, self.checkpoint), beside)
    }
}

impl ModelEntry {
    /// What the table declares; what it leaves open is as in `args`, and `golden` are its golden texts, and those of the models beside it.
    ///
    /// # Errors
    ///
    /// Where shares are none, or make more than the whole.
    pub fn declared(&self, args: &ModelArgs, golden: Option<Golden>) -> Result<Declared, Failure> {
        let base = Checkpoint { golden, ..Checkpoint::from(args) };
        let checkpoint = Checkpoint {
            name: self.source.as_deref().map(ModelName::parse),
            channel: self.channel.clone().or_else(|| base.channel.clone()),
            judge: match &self.rerank {
                Some(name) => Some(Judge {
                    name: ModelName::parse(name),
                    weight: args.rerank_weight,
                    candidates: args.candidates,
                }),
                None => base.judge.clone(),
            },
            ..base
        };
        let mut beside = Vec::new();
        let mut answered = 0.0;
        for entry in &self.beside {
            let duty = entry.duty()?;
            if let Duty::Answers(share) = duty {
                answered += share;
            }
            let checkpoint = Checkpoint { name: Some(ModelName::parse(&entry.source)), ..checkpoint.clone() };
            beside.push((entry.name.clone(), checkpoint, duty));
        }
        if answered > 1.0 {
            let message =
                format!("those beside it answer {answered} of the texts together; that is more than 1");
            return Err(Failure::Shares { name: self.name.clone(), message });
        }
        Ok(Declared { name: self.name.clone(), checkpoint, beside })
    }
}

impl BesideEntry {
    fn duty(&self) -> Result<Duty, Failure> {
        let wrong = |message: String| Failure::Shares { name: self.name.clone(), message };
        let (duty, share) = match (self.answers, self.watches) {
            (Some(share), None) => (Duty::Answers(share), share),
            (None, Some(share)) => (Duty::Watches(share), share),
            _ => return Err(wrong("it has `answers` or `watches`, and not both".to_owned())),
        };
        if !(0.0..=1.0).contains(&share) {
            return Err(wrong(format!("its share is {share}; shares are from 0 to 1")));
        }
        Ok(duty)
    }
}
