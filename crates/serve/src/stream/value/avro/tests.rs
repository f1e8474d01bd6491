use std::collections::HashMap;

use corruptor::Edit;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::*;
use crate::stream::restore::unchanged;

/// Types that are named, used again, nested, and as wide as Avro has them.
const SCHEMA: &str = r#"{
    "type": "record", "name": "Note", "namespace": "com.acme", "doc": "of a shop", "x-owner": "shop",
    "fields": [
        {"name": "id", "type": {"type": "fixed", "name": "Id", "size": 3}},
        {"name": "text", "type": {"type": "string", "avro.java.string": "String"}},
        {"name": "other", "type": ["null", "Id"], "default": null},
        {"name": "tags", "type": {"type": "map", "values": "long"}},
        {"name": "body", "type": {"type": "record", "name": "Body", "fields": [
            {"name": "parts", "type": {"type": "array", "items": ["null", "string"]}},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}}
        ]}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "uuid", "type": {"type": "string", "logicalType": "uuid"}}
    ]
}"#;

fn derived(schema: &str, first: &str, overwrites: bool) -> Result<Derived, RecordError> {
    Derived::new(schema, &[], first, overwrites, 1 << 20)
}

fn kind(schema: &str, first: &str) -> ErrorKind {
    derived(schema, first, false).unwrap_err().kind
}

fn uuid() -> apache_avro::Uuid {
    apache_avro::Uuid::from_u128(7)
}

/// A datum of [`SCHEMA`].
fn datum() -> Vec<u8> {
    let named = |fields: Vec<(&str, Value)>| {
        Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let string = |text: &str| Value::String(text.to_owned());
    let some = |value| Value::Union(1, Box::new(value));
    let value = named(vec![
        ("id", Value::Fixed(3, vec![1, 2, 3])),
        ("text", string("Ab")),
        ("other", some(Value::Fixed(3, vec![4, 5, 6]))),
        ("tags", Value::Map(HashMap::from([("a".to_owned(), Value::Long(-1))]))),
        (
            "body",
            named(vec![
                ("parts", Value::Array(vec![some(string("cd")), Value::Union(0, Box::new(Value::Null))])),
                ("kind", Value::Enum(1, "B".to_owned())),
            ]),
        ),
        ("price", Value::Decimal(vec![0, 200].into())),
        ("uuid", Value::Uuid(uuid())),
    ]);
    let schema = Schema::parse_str(SCHEMA).unwrap();
    GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(value).unwrap()
}

fn message(derived: Derived, datum: &[u8], rest: &[&str]) -> Message {
    let rest: Vec<String> = rest.iter().map(|&part| part.to_owned()).collect();
    let (kept, text) = derived.read(datum, &rest).unwrap();
    Message {
        written: Arc::new(Written { derived, id: 258, answer: Arc::new(answer().unwrap()) }),
        kept,
        text,
    }
}

fn restoration() -> Restoration {
    Restoration {
        edits: vec![Edit { start: 0, end: 1, replacement: "x".to_owned(), confidence: 0.5 }],
        confidence: 0.25,
        ..unchanged("xb")
    }
}

#[test]
fn a_record_is_written_as_it_was_with_an_answer() {
    let message = message(derived(SCHEMA, "text", false).unwrap(), &datum(), &[]);
    assert_eq!(message.text.as_deref(), Some("Ab"));
    let written = message.encode(Some(&restoration()), "d").unwrap();
    assert!(written.starts_with(&[&[0, 0, 0, 1, 2][..], &datum()].concat()));
    // Written by one schema, and read by it whole.
    let output = &message.written.derived.output;
    let schema = Schema::parse_str(output).unwrap();
    let mut left = &written[FRAME..];
    let read = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut left).unwrap();
    assert!(left.is_empty());
    let Value::Record(fields) = read else { panic!("{read:?}") };
    assert_eq!(fields.len(), 11);
    let found: Vec<Value> = fields[7..].iter().map(|(_, value)| value.clone()).collect();
    assert_eq!(found, answered(Some(&restoration()), "d"));
    // What the schema says besides stays too, in its order.
    assert!(
        output.contains(r#""doc":"of a shop","x-owner":"shop""#) && output.contains("avro.java.string"),
        "{output}"
    );
    let null = message.encode(None, "d").unwrap();
    assert!(null.ends_with(b"\x00\x00\x00\x02d"), "{null:?}");
}

#[test]
fn a_pointer_leads_into_records_maps_arrays_and_unions() {
    let found = |first, rest: &[&str]| {
        let rest: Vec<String> = rest.iter().map(|&part| part.to_owned()).collect();
        derived(SCHEMA, first, false)?.read(&datum(), &rest).map(|(_, text)| text)
    };
    assert_eq!(found("body", &["parts", "0"]), Ok(Some("cd".to_owned())));
    assert_eq!(found("body", &["parts", "1"]), Ok(None));
    let kind = |first, rest: &[&str]| found(first, rest).unwrap_err().kind;
    for part in ["2", "00", "+0", "-", ""] {
        assert_eq!(kind("body", &["parts", part]), ErrorKind::NoField, "{part}");
    }
    assert_eq!(kind("body", &["none"]), ErrorKind::NoField);
    assert_eq!(kind("body", &["kind"]), ErrorKind::NotText);
    assert_eq!(kind("tags", &["a"]), ErrorKind::NotText);
    assert_eq!(kind("tags", &["b"]), ErrorKind::NoField);
    assert_eq!(kind("none", &[]), ErrorKind::NoField);
}

#[test]
fn what_is_cut_short_or_too_long_is_refused() {
    let derived = derived(SCHEMA, "text", false).unwrap();
    let whole = datum();
    for end in 0..whole.len() {
        assert_eq!(derived.read(&whole[..end], &[]).unwrap_err().kind, ErrorKind::InvalidAvro, "{end} bytes");
    }
    let error = derived.read(&[&whole[..], &[0]].concat(), &[]).unwrap_err();
    assert_eq!((error.kind, error.message.contains("1 bytes follow")), (ErrorKind::InvalidAvro, true));
    for value in [&b""[..], b"text", b"\0\0\0\0", b"\x01\0\0\0\x01ab"] {
        assert_eq!(unframed(value).unwrap_err().kind, ErrorKind::InvalidAvro);
    }
    assert_eq!(unframed(b"\0\0\0\x01\x02ab"), Ok((258, &b"ab"[..])));
}

#[test]
fn what_is_read_is_written_byte_by_byte_whatever_it_is() {
    let derived = derived(SCHEMA, "text", false).unwrap();
    let (whole, mut random) = (datum(), StdRng::seed_from_u64(7));
    let mut read = 0;
    for _ in 0..100_000 {
        let mut changed = whole.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..changed.len());
            changed[at] = random.random();
        }
        match derived.read(&changed, &[]) {
            Ok((kept, _)) => {
                assert_eq!(kept, changed);
                read += 1;
            }
            Err(error) => assert_eq!(error.kind, ErrorKind::InvalidAvro),
        }
    }
    assert!((1000..99_000).contains(&read), "{read}");
}

#[test]
fn fields_that_are_taken_are_replaced_only_when_told() {
    let again = derived(SCHEMA, "text", false).unwrap().output;
    assert_eq!(kind(&again, "text"), ErrorKind::FieldTaken);
    let derived = derived(&again, "text", true).unwrap();
    let field = |schema: &str| serde_json::from_str::<serde_json::Value>(schema).unwrap()["fields"].clone();
    assert_eq!(field(&derived.output), field(&again));
    let answer = GenericDatumWriter::builder(&answer().unwrap())
        .build()
        .unwrap()
        .write_value_to_vec(Value::Record(
            super::super::NEW_FIELDS.map(str::to_owned).into_iter().zip(answered(None, "old")).collect(),
        ))
        .unwrap();
    let message = message(derived, &[datum(), answer].concat(), &[]);
    assert_eq!(message.kept, datum());
}

#[test]
fn schemas_that_small_values_could_exhaust_the_memory_with_are_refused() {
    let record = |field: serde_json::Value| {
        json!({"type": "record", "name": "R", "fields": [{"name": "text", "type": "string"}, {"name": "f", "type": field}]})
            .to_string()
    };
    let of_itself = json!({"type": "record", "name": "S", "fields": [{"name": "s", "type": "S"}]});
    let list = json!({"type": "array", "items": "R"});
    for inner in [json!(["null", "R"]), list, json!({"type": "array", "items": of_itself})] {
        let error = derived(&record(inner), "text", false).unwrap_err();
        let says = error.message.contains("contains itself");
        assert_eq!((error.kind, says), (ErrorKind::UnusableSchema, true), "{error:?}");
    }
    let huge = record(json!({"type": "fixed", "name": "F", "size": 1_u64 << 40}));
    assert_eq!(kind(&huge, "text"), ErrorKind::UnusableSchema);
    // A type that is used twice, one in the other, is no such thing.
    let twice = json!({"type": "record", "name": "P", "fields": [
        {"name": "a", "type": {"type": "record", "name": "Q", "fields": [{"name": "x", "type": "int"}]}}, {"name": "b", "type": "Q"}
    ]});
    assert!(derived(&record(json!({"type": "array", "items": twice})), "text", false).is_ok());
    let nothing = json!({"type": "record", "name": "N", "fields": [{"name": "n", "type": "null"}]});
    for none in [json!("null"), json!({"type": "fixed", "name": "F", "size": 0}), nothing.clone()] {
        let error = derived(&record(json!({"type": "array", "items": none})), "text", false).unwrap_err();
        assert!(error.message.contains("take no bytes"), "{error:?}");
    }
    assert!(derived(&record(json!({"type": "array", "items": ["null", nothing]})), "text", false).is_ok());
    for none in [
        "\"string\"",
        "[\"null\"]",
        "{",
        r#"{"type": "enum", "name": "E", "symbols": ["a"]}"#,
        &record(json!("None")),
    ] {
        assert_eq!(kind(none, "text"), ErrorKind::UnusableSchema, "{none}");
    }
}

#[test]
fn schemas_may_be_of_several_parts() {
    let address = r#"{"type": "record", "name": "Address", "namespace": "com.acme", "fields": [{"name": "street", "type": "string"}]}"#;
    let letter = r#"{"type": "record", "name": "Letter", "namespace": "com.acme", "fields": [
        {"name": "from", "type": "Address"}, {"name": "to", "type": "com.acme.Address"}]}"#;
    let derived = Derived::new(letter, &[address.to_owned()], "to", false, 100).unwrap();
    let street = ["street".to_owned()];
    let (kept, text) = derived.read(b"\x02a\x04bc", &street).unwrap();
    assert_eq!((&kept[..], text.as_deref()), (&b"\x02a\x04bc"[..], Some("bc")));
    assert_eq!(kind(letter, "to"), ErrorKind::UnusableSchema);
}
