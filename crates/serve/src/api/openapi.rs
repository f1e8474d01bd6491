//! The description of the API, generated from its types.

use utoipa::{
    OpenApi, PartialSchema, ToSchema,
    openapi::{
        self, Array, Content, Object, ObjectBuilder, OneOf, OpenApiVersion, Ref, RefOr, Required, Response,
        Schema, Type,
        path::{Operation, PathItem},
        schema::{ArrayBuilder, ArrayItems, SchemaType},
    },
};

use super::{
    answer::{DoneBody, PieceBody},
    request::RestoreBody,
};
use crate::http::problem::{MEDIA_TYPE, ProblemBody};

/// What is not said at the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Revertant",
        description = "Restores corrupted text. Errors are problem documents (RFC 9457); `pointer` names the value that is wrong.",
    ),
    components(schemas(PieceBody, DoneBody)),
    tags(
        (name = "restore", description = "Corrupted texts in, restored ones out, with edits and confidences"),
        (name = "jobs", description = "Files restored in the background"),
        (name = "corrupt", description = "The channel that models learn to undo"),
        (name = "models", description = "What restores"),
        (name = "operations", description = "Health, metrics, descriptions"),
    ),
)]
pub struct Described;

/// The description of `api`, as the routes give it, with what holds for each of them: every operation can answer a problem.
pub fn described(mut api: openapi::OpenApi) -> openapi::OpenApi {
    api.openapi = OpenApiVersion::Version31;
    let components = api.components.get_or_insert_default();
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    if let RefOr::T(Schema::Object(whole)) = RestoreBody::schema() {
        let of_one = ["TextBody", "TextsBody"].map(|name| RefOr::Ref(Ref::from_schema_name(name)));
        components.schemas.insert("TextBody".to_owned(), restoring(whole.clone(), "text", "texts", span()));
        components
            .schemas
            .insert("TextsBody".to_owned(), restoring(whole, "texts", "text", Array::new(span())));
        components.schemas.insert(
            RestoreBody::name().into_owned(),
            RefOr::T(Schema::OneOf(OneOf { items: of_one.into(), ..OneOf::new() })),
        );
    }
    for (name, description) in PROBLEMS {
        components.responses.insert((*name).to_owned(), RefOr::T(problem(description)));
    }
    for item in api.paths.paths.values_mut() {
        for operation in operations(item) {
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                body.required = Some(Required::True);
            }
            for (name, _) in PROBLEMS {
                let reference = RefOr::Ref(Ref::from_response_name(*name));
                operation.responses.responses.entry(name.replace("Problem", "")).or_insert(reference);
            }
        }
    }
    api
}

/// What a type cannot say: there is either one text or several, and what spans look like depends on it.
fn restoring(mut whole: Object, own: &str, other: &str, spans: impl Into<RefOr<Schema>>) -> RefOr<Schema> {
    whole.properties.shift_remove(other);
    if let Some(RefOr::T(Schema::Object(text))) = whole.properties.get_mut(own) {
        text.schema_type = SchemaType::new(Type::String);
    }
    if let Some(RefOr::T(Schema::Array(texts))) = whole.properties.get_mut(own) {
        texts.schema_type = SchemaType::new(Type::Array);
    }
    if let Some(RefOr::T(Schema::Array(protect))) = whole.properties.get_mut("protect") {
        protect.items = ArrayItems::RefOrSchema(Box::new(spans.into()));
    }
    whole.required.push(own.to_owned());
    RefOr::T(Schema::Object(whole))
}

/// `[start, end]`
fn span() -> Array {
    let offset = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    ArrayBuilder::new().items(offset).min_items(Some(2)).max_items(Some(2)).build()
}

const PROBLEMS: &[(&str, &str)] = &[
    ("Problem4XX", "The request cannot be answered as it is"),
    ("Problem5XX", "The server cannot answer now"),
];

fn problem(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name(ProblemBody::name())));
    let mut response = Response::new(description);
    response.content.insert(MEDIA_TYPE.to_owned(), RefOr::T(content));
    response
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().flatten()
}
