//! `POST /v1/corrupt`: the channel, for demonstrations.

use axum::{
    Json,
    extract::{Request, State},
};
use corruptor::{Channel, CorruptSettings, Event, Op, Passage, RecordStream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::values::{Seed, ValueError},
    error::{ApiError, Kind},
    http::{body::json, state::AppState},
};

/// Highest rate that can be asked for.
const MOST_RATE: f64 = 0.5;

/// A text to corrupt, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct CorruptBody {
    /// The text.
    text: String,
    /// Seed of the noise: the same seed, text and rate give the same noise. 1 unless given.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 4_294_967_295_u64)]
    seed: Option<Seed>,
    /// Probability of an attempt at a grapheme, all operations together; that of the default recipe's channel unless given.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 0.5)]
    rate: Option<Rate>,
    /// Corrupt by this operation alone.
    #[schema(inline)]
    operation: Option<Operation>,
}

/// A rate of attempts.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "f64")]
struct Rate(f64);

impl TryFrom<f64> for Rate {
    type Error = ValueError;

    fn try_from(value: f64) -> Result<Self, ValueError> {
        if (0.0..=MOST_RATE).contains(&value) {
            Ok(Self(value))
        } else {
            Err(ValueError::Rate(value.to_string()))
        }
    }
}

/// An operation of the channel.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Operation {
    /// Leaves spans out.
    Deletion,
    /// Replaces graphemes.
    Substitution,
    /// Puts symbols in.
    Insertion,
    /// Emits spans twice.
    Duplication,
    /// Emits spans backwards.
    Reversal,
}

/// A corrupted text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CorruptedBody {
    /// The text after the channel.
    text: String,
    /// What changed it, in order.
    events: Vec<EventBody>,
}

/// Something that happened to a text.
#[derive(Debug, Serialize, ToSchema)]
struct EventBody {
    /// The operation.
    op: String,
    /// Byte offset in the text that was sent.
    start: u32,
    /// Bytes of it that are concerned; 0 for an insertion.
    length: u32,
    /// What stood there.
    removed: String,
    /// What stands there now; for a duplication the span twice.
    replacement: String,
}

impl From<Event> for EventBody {
    fn from(event: Event) -> Self {
        let Event { op, start, length, removed, replacement } = event;
        Self { op: op.name().to_owned(), start, length, removed, replacement }
    }
}

/// Corrupt a text.
#[utoipa::path(
    post,
    path = "/v1/corrupt",
    tag = "corrupt",
    request_body = CorruptBody,
    responses((status = 200, description = "Corrupted", body = CorruptedBody)),
)]
pub(crate) async fn corrupt(
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<CorruptedBody>, ApiError> {
    let body: CorruptBody = json(request, state.limits()).await?;
    // A long text takes milliseconds: not on the threads that answer.
    let corrupted = tokio::task::spawn_blocking(move || corrupted(&body)).await;
    corrupted.map_err(|error| ApiError::new(Kind::Internal, error.to_string()))?.map(Json)
}

fn corrupted(body: &CorruptBody) -> Result<CorruptedBody, ApiError> {
    let mut settings = CorruptSettings { levels: vec![1.0], clean_share: 0.0, ..CorruptSettings::default() };
    let total = settings.total_rate();
    if let Some(operation) = body.operation {
        settings = settings.only(match operation {
            Operation::Deletion => Op::Deletion,
            Operation::Substitution => Op::Substitution,
            Operation::Insertion => Op::Insertion,
            Operation::Duplication => Op::Duplication,
            Operation::Reversal => Op::Reversal,
        });
    }
    let settings = settings.with_total_rate(body.rate.map_or(total, |rate| rate.0));
    let channel = Channel::new(&settings)
        .map_err(|error| ApiError::new(Kind::InvalidRequest, error.to_string()).at("/rate"))?;
    let passage = Passage { source: "corrupt", doc_id: "", start: 0, text: &body.text };
    let mut stream = RecordStream::for_record(body.seed.map_or(1, |seed| seed.0), &passage, 0);
    let corruption = channel.corrupt(&body.text, 0, &mut stream);
    let events = corruption.events.into_iter().map(EventBody::from).collect();
    Ok(CorruptedBody { text: corruption.text, events })
}
