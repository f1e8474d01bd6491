//! JSON objects whose members stay as they are written, also those that stand there twice.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

/// The members of an object, in their order.
#[derive(Debug)]
pub(crate) struct Members<V>(pub(crate) Vec<(String, V)>);

impl Members<Box<RawValue>> {
    /// The object with `new` members, each in the place of its namesake or last.
    pub(crate) fn with<'m, const N: usize>(
        &'m self,
        new: &'m [(&'static str, Box<RawValue>); N],
    ) -> impl Serialize + use<'m, N> {
        let mut written: Vec<(&str, &RawValue)> = Vec::with_capacity(self.0.len() + N);
        let mut is_placed = [false; N];
        for (name, value) in &self.0 {
            match new.iter().position(|(new, _)| new == name) {
                None => written.push((name, value)),
                // Of namesakes the first is replaced, and the others would contradict it.
                Some(at) if !std::mem::replace(&mut is_placed[at], true) => written.push((name, &new[at].1)),
                Some(_) => {}
            }
        }
        let rest = new.iter().zip(is_placed).filter(|(_, is_placed)| !is_placed);
        written.extend(rest.map(|((name, value), _)| (*name, value.as_ref())));
        Written(written)
    }
}

struct Written<'m>(Vec<(&'m str, &'m RawValue)>);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap<V>(std::marker::PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for OfMap<V> {
            type Value = Members<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(OfMap(std::marker::PhantomData))
    }
}

/// What a raw value that is no string is, with its article.
pub(crate) fn kind_of(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    #[test]
    fn members_stay_as_they_are_written_and_namesakes_give_way() {
        let members: Members<Box<RawValue>> =
            serde_json::from_str(r#"{"b": 1.50, "a": [1 ,2], "b": 2, "c": "\u0041"}"#).unwrap();
        let new = [("b", to_raw_value(&7).unwrap()), ("d", to_raw_value(&8).unwrap())];
        let written = serde_json::to_string(&members.with(&new)).unwrap();
        assert_eq!(written, r#"{"b":7,"a":[1 ,2],"c":"\u0041","d":8}"#);
    }
}
