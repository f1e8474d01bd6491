use std::collections::HashMap;

use apache_avro::reader::datum::GenericDatumReader;
use corruptor::Edit;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::{schema::take_all_names, *};
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
    Derived::new(schema, &[], first, overwrites)
}

fn kind(schema: &str, first: &str) -> ErrorKind {
    derived(schema, first, false).unwrap_err().kind
}

/// A schema, by the library.
fn parsed(schema: &str) -> Schema {
    take_all_names();
    Schema::parse_str(schema).unwrap()
}

/// A value in bytes, by the library.
fn encoded(schema: &Schema, value: Value) -> Vec<u8> {
    GenericDatumWriter::builder(schema).build().unwrap().write_value_to_vec(value).unwrap()
}

/// The text at `/text`.
fn text_in(schema: &str, datum: &[u8]) -> Result<Option<String>, RecordError> {
    derived(schema, "text", false)?.read(datum, &[]).map(|(_, text)| text)
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
    encoded(&parsed(SCHEMA), value)
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
    let schema = parsed(output);
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
    for value in [&b""[..], b"text", b"\0\0\0\0", b"\x01\0\0\0\x01ab", b"\0\x80\0\0\x01ab"] {
        assert_eq!(unframed(value).unwrap_err().kind, ErrorKind::InvalidAvro);
    }
    assert_eq!(unframed(b"\0\0\0\x01\x02ab"), Ok((258, &b"ab"[..])));
}

/// A schema with names of this number, and a value of it.
fn arbitrary(random: &mut StdRng, names: &mut u32, depth: u32) -> (serde_json::Value, Value) {
    *names += 1;
    let name = format!("N{names}");
    let text = |random: &mut StdRng| "añ".repeat(random.random_range(0..40));
    match random.random_range(0..if depth == 0 { 10 } else { 14 }) {
        0 => (json!("null"), Value::Null),
        1 => (json!("boolean"), Value::Boolean(random.random())),
        2 => (json!("int"), Value::Int(random.random())),
        3 => (json!("long"), Value::Long(random.random::<i64>() >> random.random_range(0..64))),
        4 => (json!("float"), Value::Float(random.random())),
        5 => (json!("double"), Value::Double(random.random())),
        6 => (json!("bytes"), Value::Bytes(text(random).into_bytes())),
        7 => (json!("string"), Value::String(text(random))),
        8 => (json!({"type": "fixed", "name": name, "size": 3}), Value::Fixed(3, vec![1, 2, 3])),
        9 => {
            let schema = json!({"type": "enum", "name": name, "symbols": ["a", "b"]});
            (schema, Value::Enum(1, "b".to_owned()))
        }
        10 => {
            let (schema, value) = arbitrary(random, names, depth - 1);
            let values = vec![value; random.random_range(0..4)];
            (json!({"type": "array", "items": schema}), Value::Array(values))
        }
        11 => {
            let (schema, value) = arbitrary(random, names, depth - 1);
            let values = (0..random.random_range(0..4)).map(|at: u32| (at.to_string(), value.clone()));
            (json!({"type": "map", "values": schema}), Value::Map(values.collect()))
        }
        12 => {
            let (schema, value) = arbitrary(random, names, 0);
            if schema == json!("null") {
                return (json!([schema]), Value::Union(0, Box::new(value)));
            }
            (json!(["null", schema]), Value::Union(1, Box::new(value)))
        }
        _ => {
            let fields =
                (0..random.random_range(0..4)).map(|at: u32| (at, arbitrary(random, names, depth - 1)));
            let fields: Vec<_> = fields.collect();
            let schemas =
                fields.iter().map(|(at, (schema, _))| json!({"name": format!("f{at}"), "type": schema}));
            let schema = json!({"type": "record", "name": name, "fields": schemas.collect::<Vec<_>>()});
            let values = fields.iter().map(|(at, (_, value))| (format!("f{at}"), value.clone()));
            (schema, Value::Record(values.collect()))
        }
    }
}

#[test]
fn what_is_kept_are_the_bytes_of_the_library() {
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..2000 {
        let (mut names, mut fields, mut kept, mut datum) = (0, Vec::new(), Vec::new(), Vec::new());
        for at in 0..8 {
            let (name, (schema, value)) = match at {
                3 => ("restored".to_owned(), arbitrary(&mut random, &mut names, 3)),
                5 => ("text".to_owned(), (json!("string"), Value::String("Ab".to_owned()))),
                _ => (format!("f{at}"), arbitrary(&mut random, &mut names, 3)),
            };
            let bytes = encoded(&parsed(&schema.to_string()), value);
            datum.extend_from_slice(&bytes);
            if at != 3 {
                kept.extend(bytes);
            }
            fields.push(json!({"name": name, "type": schema}));
        }
        let schema = json!({"type": "record", "name": "R", "fields": fields}).to_string();
        let derived = derived(&schema, "text", true).unwrap();
        assert_eq!(derived.read(&datum, &[]), Ok((kept, Some("Ab".to_owned()))), "{schema}");
        let mut changed = datum.clone();
        for _ in 0..20 {
            let at = random.random_range(0..changed.len());
            changed[at] = random.random();
            // It may be a value still.
            if let Err(error) = derived.read(&changed, &[]) {
                assert_eq!(error.kind, ErrorKind::InvalidAvro, "{error:?}");
            }
        }
    }
}

/// A record of a text and of another field.
fn record(field: &serde_json::Value) -> String {
    json!({"type": "record", "name": "R", "fields": [{"name": "text", "type": "string"}, {"name": "f", "type": field}]})
        .to_string()
}

#[test]
fn bytes_that_are_no_value_are_refused() {
    let says = |schema: serde_json::Value, bytes: &[u8]| match text_in(
        &record(&schema),
        &[b"\x02a", bytes].concat(),
    ) {
        Ok(text) => format!("{text:?}"),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::InvalidAvro);
            assert!(error.message.contains("in the field `f`, "), "{error:?}");
            error.message
        }
    };
    let ints = || json!({"type": "array", "items": "int"});
    // Two blocks, one of them with its length.
    assert_eq!(says(ints(), b"\x02\x07\x03\x04\x09\x09\0"), r#"Some("a")"#);
    assert!(says(ints(), b"\x03\x06\x09\x09\0").contains("not as long as it says"));
    assert!(says(ints(), b"\x03\x7f\x09\x09\0").contains("is no length"));
    assert!(says(ints(), b"\x03\x40\x09\x09\0").contains("ends within"));
    assert!(says(json!("boolean"), b"\x02").contains("neither 0 nor 1"));
    assert!(says(json!("int"), b"\xff\xff\xff\xff\x1f").contains("is no int"));
    assert!(says(json!("long"), &[0xff; 10]).contains("more than 64 bits"));
    assert!(says(json!("string"), b"\x01").contains("-1 is no length"));
    assert!(says(json!(["null"]), b"\x02").contains("no number 1 among the 1 types"));
    assert!(
        says(json!({"type": "enum", "name": "E", "symbols": ["a"]}), b"\x01")
            .contains("no number -1 among the 1")
    );
    let map = json!({"type": "map", "values": "string"});
    let at_key = derived(&record(&map), "f", false).unwrap();
    let read = |bytes: &[u8]| at_key.read(&[b"\x02a", bytes].concat(), &["k".to_owned()]);
    assert_eq!(read(b"\x02\x02k\x02b\0").unwrap().1.as_deref(), Some("b"));
    assert!(read(b"\x04\x02k\x02b\x02k\x02c\0").unwrap_err().message.contains("twice"));
    assert_eq!(text_in(&record(&json!("null")), b"\x02\xff").unwrap_err().kind, ErrorKind::InvalidAvro);
}

#[test]
fn small_values_that_stand_for_much_are_refused() {
    let refused = |field: &serde_json::Value, bytes: &[u8], why: &str| {
        let error = text_in(&record(field), &[b"\x02a", bytes].concat()).unwrap_err();
        assert!(error.kind == ErrorKind::InvalidAvro && error.message.contains(why), "{error:?}");
    };
    // Each type twice in the next: 2^40 nulls.
    let twice = (0..40).fold(json!("null"), |of, at| {
        let other = if at == 0 { json!("null") } else { json!(format!("T{}", at - 1)) };
        json!({"type": "record", "name": format!("T{at}"), "fields": [{"name": "x", "type": of}, {"name": "y", "type": other}]})
    });
    refused(&twice, b"", "too many values");
    refused(&json!({"type": "array", "items": twice}), b"\x02\0", "too many values");
    // Many of nothing.
    for none in [json!("null"), json!({"type": "fixed", "name": "F", "size": 0})] {
        refused(
            &json!({"type": "array", "items": none}),
            b"\xfe\xff\xff\xff\xff\xff\xff\x7f\0",
            "too many values",
        );
        assert!(text_in(&record(&json!({"type": "array", "items": none})), b"\x02a\xd0\x0f\0").is_ok());
    }
    // One in the other, without an end.
    let list = json!({"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]});
    let links = |count: usize| [vec![2; count], vec![0]].concat();
    assert!(text_in(&record(&list), &[b"\x02a", &links(198)[..]].concat()).is_ok());
    refused(&list, &links(100_000), "deeper than");
    let chain: Vec<_> = (0..1500)
        .map(|at| {
            let of = if at == 0 { json!("int") } else { json!(format!("C{}", at - 1)) };
            json!({"name": format!("c{at}"), "type": {"type": "record", "name": format!("C{at}"), "fields": [{"name": "x", "type": of}]}})
        })
        .collect();
    let chain = json!({"type": "record", "name": "C", "fields": chain});
    refused(&chain, &[0; 1500], "deeper than");
    refused(&json!({"type": "fixed", "name": "F", "size": 1_u64 << 40}), b"", "ends within");
}

#[test]
fn aliases_name_nothing() {
    let order =
        json!({"type": "record", "name": "Order", "fields": [{"name": "n", "type": "int"}]}).to_string();
    let next = json!({"type": "record", "name": "Next", "aliases": ["Order"], "fields": [
        {"name": "text", "type": "string"}, {"name": "before", "type": "Order"},
    ]});
    let derived = Derived::new(&next.to_string(), &[order], "text", false).unwrap();
    assert_eq!(derived.read(b"\x02a\x02", &[]).map(|(_, text)| text), Ok(Some("a".to_owned())));
    assert!(derived.output.contains("aliases"), "{}", derived.output);
}

#[test]
fn schemas_of_java_are_taken() {
    let schema = json!({"type": "record", "name": "com.acme-shop.Größe", "fields": [
        {"name": "text", "type": "string"},
        {"name": "имя", "type": {"type": "enum", "name": "Art", "symbols": ["ä", "b"]}, "default": "none"},
        {"name": "n", "type": "int", "default": null},
    ]});
    assert_eq!(text_in(&schema.to_string(), b"\x02a\x02\x07"), Ok(Some("a".to_owned())));
    let output = derived(&schema.to_string(), "text", false).unwrap().output;
    assert!(output.contains(r#""default":"none""#) && output.contains("имя"), "{output}");
}

#[test]
fn a_type_of_edits_that_is_there_is_used_again() {
    let edits = |confidence: &str| {
        json!({"type": "array", "items": {"type": "record", "name": "revertant.Edit", "fields": [
            {"name": "start", "type": "long"}, {"name": "end", "type": "long"}, {"name": "replacement", "type": "string"},
            {"name": "confidence", "type": confidence},
        ]}})
    };
    let found = derived(&record(&edits("float")), "text", false).unwrap();
    assert_eq!(found.output.matches("\"start\"").count(), 1, "{}", found.output);
    let written = message(found, b"\x02a\0", &[]).encode(Some(&restoration()), "d").unwrap();
    let output = derived(&record(&edits("float")), "text", false).unwrap().output;
    let mut left = &written[FRAME..];
    GenericDatumReader::builder(&parsed(&output)).build().unwrap().read_value(&mut left).unwrap();
    assert!(left.is_empty());
    let error = derived(&record(&edits("double")), "text", false).unwrap_err();
    assert!(error.message.contains("another type"), "{error:?}");
}

#[test]
fn fields_that_are_taken_are_replaced_only_when_told() {
    let again = derived(SCHEMA, "text", false).unwrap().output;
    assert_eq!(kind(&again, "text"), ErrorKind::FieldTaken);
    let derived = derived(&again, "text", true).unwrap();
    let field = |schema: &str| serde_json::from_str::<serde_json::Value>(schema).unwrap()["fields"].clone();
    assert_eq!(field(&derived.output), field(&again));
    let fields = super::super::NEW_FIELDS.map(str::to_owned).into_iter().zip(answered(None, "old"));
    let answer = encoded(&answer().unwrap(), Value::Record(fields.collect()));
    let message = message(derived, &[datum(), answer].concat(), &[]);
    assert_eq!(message.kept, datum());
}

#[test]
fn schemas_that_are_none_of_a_record_are_refused() {
    for none in [
        "\"string\"",
        "[\"null\"]",
        "{",
        r#"{"type": "enum", "name": "E", "symbols": ["a"]}"#,
        &record(&json!("None")),
        &record(&json!({"type": "record", "name": "R", "fields": []})),
        // In its own values it would be the type of the output.
        &record(&json!(["null", "R"])),
    ] {
        assert_eq!(kind(none, "text"), ErrorKind::UnusableSchema, "{none}");
    }
}

#[test]
fn schemas_may_be_of_several_parts() {
    let address = r#"{"type": "record", "name": "Address", "namespace": "com.acme", "fields": [{"name": "street", "type": "string"}]}"#;
    let letter = r#"{"type": "record", "name": "Letter", "namespace": "com.acme", "fields": [
        {"name": "from", "type": "Address"}, {"name": "to", "type": "com.acme.Address"}]}"#;
    let derived = Derived::new(letter, &[address.to_owned()], "to", false).unwrap();
    let street = ["street".to_owned()];
    let (kept, text) = derived.read(b"\x02a\x04bc", &street).unwrap();
    assert_eq!((&kept[..], text.as_deref()), (&b"\x02a\x04bc"[..], Some("bc")));
    assert_eq!(kind(letter, "to"), ErrorKind::UnusableSchema);
}
