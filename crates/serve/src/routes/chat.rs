//! `POST /v1/chat/completions`: for clients of the OpenAI API. The last message of the user is the text, the answer its restoration.

use std::{
    convert::Infallible,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::header,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{request::RestoreBody, values::One},
    error::{ApiError, Kind},
    http::{answer_headers::AnswerHeaders, auth::Client, body::json, observe::unique, state::AppState},
    models::served::Served,
};

use super::{
    following::{Followed, Following, answering},
    restore::{in_time, restored},
};

/// A chat, of which the last message of the user is restored. Settings of sampling are ignored: a restoration is not sampled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub(crate) struct ChatBody {
    /// The model that restores, as `/v1/models` lists it.
    model: String,
    /// The messages; what is not the last one of the user is ignored.
    #[schema(min_items = 1)]
    messages: Vec<Message>,
    /// Whether the answer comes in chunks, as its pieces are done.
    stream: Option<bool>,
    /// What chunks hold besides.
    stream_options: Option<StreamOptions>,
    /// Answers to choose from: 1.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1)]
    #[expect(dead_code, reason = "it is checked while it is read")]
    n: Option<One>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct StreamOptions {
    /// Whether a last chunk tells the tokens.
    include_usage: Option<bool>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct Message {
    /// `system`, `developer`, `user` or `assistant`.
    role: String,
    /// A text, or parts of one.
    #[schema(value_type = Option<Content>)]
    content: Option<Content>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a text, or an array of parts {\"type\": \"text\", \"text\": ...}")]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize, ToSchema)]
struct Part {
    /// `text`
    r#type: String,
    text: Option<String>,
}

/// A restored text, as the OpenAI API answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatAnswer {
    id: String,
    /// `chat.completion`; of a chunk `chat.completion.chunk`.
    object: &'static str,
    /// Seconds since 1970.
    created: u64,
    model: String,
    choices: Vec<Choice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
}

/// An event of a stream, as the description has it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is only described")]
struct ChatEvent {
    /// JSON: a `ChatAnswer`, at the end `[DONE]`.
    data: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct Choice {
    index: u32,
    /// The whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Said>,
    /// What a chunk adds to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Said>,
    /// `stop`, once the answer is whole.
    finish_reason: Option<&'static str>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the OpenAI API")]
struct Tokens {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl Tokens {
    fn of(model: &Served, input: &str, output: &str) -> Self {
        let [prompt_tokens, completion_tokens] = [input, output].map(|text| model.scheduler().tokens(text));
        Self { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
    }
}

/// Restore the last message of the user.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "restore",
    request_body = ChatBody,
    responses(
        (status = 200, description = "The restoration as a message; with `stream`, in chunks", content(
            (ChatAnswer = "application/json"),
            (ChatEvent = "text/event-stream"),
        )),
        (status = "4XX", description = "The request cannot be answered as it is", body = Failed),
        (status = "5XX", description = "The server cannot answer now", body = Failed),
    ),
)]
pub(crate) async fn chat(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Response {
    answered(&state, &client, request).await.unwrap_or_else(Failed::answer)
}

async fn answered(state: &AppState, client: &Client, request: Request) -> Result<Response, ApiError> {
    let started = std::time::Instant::now();
    let body: ChatBody = json(request, state.limits()).await?;
    let text = last_of_user(body.messages)?;
    let mut asked =
        RestoreBody { text: Some(text.clone()), model: Some(body.model), ..RestoreBody::default() }
            .check_one()?;
    let model = answering(state, &mut asked)?;
    let chat = Chat::new(model.name());
    if body.stream.unwrap_or(false) {
        let with_usage = body.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
        let usage = with_usage.then(|| Tokens::of(&model, &text, &text));
        let headers = AnswerHeaders::of_model(&model);
        let following = Following::start(&model, asked, client, state.limits().answer_time)?;
        return Ok((headers, chat.chunks(following, usage)).into_response());
    }
    let work = restored(state, &model, client, asked.requests, true);
    let answered = in_time(work, None, state.limits().answer_time).await?;
    let headers = AnswerHeaders::new(&model, &answered, started);
    let restored: String = answered.restorations.into_iter().map(|one| one.text).collect();
    let usage = Tokens::of(&model, &text, &restored);
    let message = Said { role: Some("assistant"), content: Some(restored) };
    let choice = Choice { index: 0, message: Some(message), delta: None, finish_reason: Some("stop") };
    Ok((headers, Json(chat.answer("chat.completion", vec![choice], Some(usage)))).into_response())
}

fn last_of_user(messages: Vec<Message>) -> Result<String, ApiError> {
    let invalid = |detail: &str, at: &str| Err(ApiError::new(Kind::InvalidRequest, detail).at(at));
    let last = messages.into_iter().enumerate().rev().find(|(_, message)| message.role == "user");
    let Some((index, message)) = last else {
        return invalid("there is no message of the role `user`", "/messages");
    };
    match message.content {
        Some(Content::Text(text)) => Ok(text),
        Some(Content::Parts(parts)) => {
            if let Some(at) = parts.iter().position(|part| part.r#type != "text" || part.text.is_none()) {
                let at = format!("/messages/{index}/content/{at}");
                return invalid("only parts of the type `text` can be restored", &at);
            }
            Ok(parts.into_iter().filter_map(|part| part.text).collect())
        }
        None => invalid("the message has no content", &format!("/messages/{index}/content")),
    }
}

/// What is the same in all that is answered to one chat.
struct Chat {
    id: String,
    created: u64,
    model: String,
}

impl Chat {
    fn new(model: &str) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { id: format!("chatcmpl-{}", unique()), created, model: model.to_owned() }
    }

    fn answer(&self, object: &'static str, choices: Vec<Choice>, usage: Option<Tokens>) -> ChatAnswer {
        let Self { id, created, model } = self;
        ChatAnswer { id: id.clone(), object, created: *created, model: model.clone(), choices, usage }
    }

    /// The answer in chunks, then `[DONE]`.
    fn chunks(self, following: Following, usage: Option<Tokens>) -> impl IntoResponse {
        let chunk = move |said: Said, finish_reason| {
            let choice = Choice { index: 0, message: None, delta: Some(said), finish_reason };
            self.answer("chat.completion.chunk", vec![choice], None)
        };
        let first = event(&chunk(Said { role: Some("assistant"), content: Some(String::new()) }, None));
        let events = following.into_stream().flat_map(move |followed| {
            stream::iter(match followed {
                Followed::Piece(piece) => {
                    vec![event(&chunk(Said { role: None, content: Some(piece.text) }, None))]
                }
                Followed::Done(_) => {
                    let mut last = vec![event(&chunk(Said::default(), Some("stop")))];
                    if usage.is_some() {
                        let told = ChatAnswer { choices: Vec::new(), usage, ..chunk(Said::default(), None) };
                        last.push(event(&told));
                    }
                    last.push(Event::default().data("[DONE]"));
                    last
                }
                Followed::Failed(error) => vec![event(&Failed::from(&error))],
            })
        });
        Sse::new(stream::iter([first]).chain(events).map(Ok::<_, Infallible>))
    }
}

/// What clients of the OpenAI API take for an error.
#[derive(Debug, Serialize, ToSchema)]
struct Failed {
    error: Failure,
}

#[derive(Debug, Serialize, ToSchema)]
struct Failure {
    /// What was wrong in this request.
    message: String,
    /// What kind of problem it is, as `/problems/{name}` describes it.
    r#type: &'static str,
    /// JSON pointer (RFC 6901) to the value that is wrong.
    param: Option<String>,
    /// Status of the answer.
    code: u16,
}

impl From<&ApiError> for Failed {
    fn from(error: &ApiError) -> Self {
        let entry = error.kind.entry();
        let (message, param) = (error.detail.clone(), error.pointer.clone());
        Self { error: Failure { message, r#type: entry.name, param, code: entry.status } }
    }
}

impl Failed {
    /// The same status and headers as elsewhere, around another body.
    fn answer(error: ApiError) -> Response {
        let body = Json(Self::from(&error)).into_response();
        let mut response = error.into_response();
        if let Some(kind) = body.headers().get(header::CONTENT_TYPE) {
            response.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
        }
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = body.into_body();
        response
    }
}

fn event(data: &impl Serialize) -> Event {
    // Strings, numbers and arrays of them are always written.
    Event::default().json_data(data).unwrap_or_default()
}
