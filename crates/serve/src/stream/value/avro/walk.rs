//! Goes through values in Avro: where each ends, and the text in it. Nothing else of them is held, so small values that stand for much
//! take no memory.

use super::types::{Type, TypeId, Types};

/// Values in values, at most: those of schemas that contain themselves have no end by themselves.
const MAX_DEPTH: usize = 200;
/// Values in a datum, at most, besides some for each of its bytes: nulls take none.
const MAX_VALUES: usize = 1 << 20;
/// Of a byte.
const VALUES_PER_BYTE: usize = 16;

/// What stands where a pointer leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Text(String),
    Null,
    /// Something else.
    NotText,
    /// Nothing: there is no such part.
    NoPart(String),
}

/// A way through a datum.
#[derive(Debug)]
pub(super) struct Walk<'d> {
    types: &'d Types,
    left: &'d [u8],
    depth: usize,
    values: usize,
}

impl<'d> Walk<'d> {
    /// From the first byte of a datum on.
    pub(super) fn new(types: &'d Types, datum: &'d [u8]) -> Self {
        let values = datum.len().saturating_mul(VALUES_PER_BYTE).saturating_add(MAX_VALUES);
        Self { types, left: datum, depth: 0, values }
    }

    /// Bytes that were not gone through.
    pub(super) fn left(&self) -> usize {
        self.left.len()
    }

    /// Goes over a value.
    ///
    /// # Errors
    ///
    /// What is wrong with its bytes.
    pub(super) fn skip(&mut self, id: TypeId) -> Result<(), String> {
        let id = self.chosen(id)?;
        self.within(|walk| {
            match walk.types.get(id) {
                Type::Null => {}
                Type::Boolean => walk.boolean()?,
                Type::Int => drop(walk.int()?),
                Type::Long => drop(walk.long()?),
                Type::Sized(count) => drop(walk.take(*count)?),
                Type::Bytes | Type::String => drop(walk.bytes()?),
                Type::Enum(symbols) => drop(walk.index(*symbols, "symbols of an enum")?),
                Type::Array(items) => walk.blocks(|walk, _| walk.skip(*items))?,
                Type::Map(values) => walk.blocks(|walk, _| {
                    walk.bytes()?;
                    walk.skip(*values)
                })?,
                // In another one, which no schema has.
                Type::Union(_) => walk.skip(id)?,
                Type::Record(fields) => {
                    for (_, field) in fields {
                        walk.skip(*field)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Goes over a value, and tells what stands where `pointer` leads from there.
    ///
    /// # Errors
    ///
    /// What is wrong with its bytes.
    pub(super) fn find(&mut self, id: TypeId, pointer: &[String]) -> Result<Found, String> {
        let id = self.chosen(id)?;
        self.within(|walk| {
            let mut found = None;
            match (walk.types.get(id), pointer) {
                (Type::Union(_), _) => return walk.find(id, pointer),
                (Type::Null, []) => return Ok(Found::Null),
                (Type::String, []) => {
                    let text = walk.bytes()?.to_vec();
                    return String::from_utf8(text).map(Found::Text).map_err(|error| error.to_string());
                }
                (_, []) => {
                    walk.skip(id)?;
                    return Ok(Found::NotText);
                }
                (Type::Record(fields), [part, rest @ ..]) => {
                    for (name, field) in fields {
                        if name == part {
                            found = Some(walk.find(*field, rest)?);
                        } else {
                            walk.skip(*field)?;
                        }
                    }
                }
                (Type::Map(values), [part, rest @ ..]) => walk.blocks(|walk, _| {
                    if walk.bytes()? != part.as_bytes() {
                        return walk.skip(*values);
                    }
                    match found.replace(walk.find(*values, rest)?) {
                        None => Ok(()),
                        Some(_) => Err(format!("a map has the key `{part}` twice")),
                    }
                })?,
                (Type::Array(items), [part, rest @ ..]) => {
                    // As RFC 6901 has it: nothing stands before the digits.
                    let at = part.parse().ok().filter(|at: &usize| at.to_string() == *part);
                    walk.blocks(|walk, number| {
                        if at != Some(number) {
                            return walk.skip(*items);
                        }
                        found = Some(walk.find(*items, rest)?);
                        Ok(())
                    })?;
                }
                _ => walk.skip(id)?,
            }
            Ok(found.unwrap_or_else(|| Found::NoPart(pointer.first().cloned().unwrap_or_default())))
        })
    }

    /// What the value is, where it may be of several types.
    fn chosen(&mut self, id: TypeId) -> Result<TypeId, String> {
        match self.types.get(id) {
            Type::Union(variants) => Ok(variants[self.index(variants.len(), "types of a union")?]),
            _ => Ok(id),
        }
    }

    /// One value more, below those that are gone through.
    fn within<T>(&mut self, go: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.values = self.values.checked_sub(1).ok_or("it has too many values in it")?;
        if self.depth == MAX_DEPTH {
            return Err(format!("values stand in each other deeper than {MAX_DEPTH} times"));
        }
        self.depth += 1;
        let done = go(self);
        self.depth -= 1;
        done
    }

    /// Goes over the items of an array or a map, which stand in blocks. `item` is told the number of each.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self, usize) -> Result<(), String>) -> Result<(), String> {
        let mut number = 0;
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            // Those that can be gone over at once say how long they are.
            let end = if count < 0 { Some(self.end_of_block()?) } else { None };
            for _ in 0..count.unsigned_abs() {
                item(self, number)?;
                number += 1;
            }
            if end.is_some_and(|end| end != self.left.len()) {
                return Err("a block of an array or a map is not as long as it says".to_owned());
            }
        }
    }

    /// How many bytes are left after a block.
    fn end_of_block(&mut self) -> Result<usize, String> {
        let size = self.length()?;
        self.left.len().checked_sub(size).ok_or_else(ends)
    }

    fn boolean(&mut self) -> Result<(), String> {
        match self.take(1)? {
            [0 | 1] => Ok(()),
            _ => Err("a boolean is neither 0 nor 1".to_owned()),
        }
    }

    /// One of `count` things, which messages call `what`.
    fn index(&mut self, count: usize, what: &str) -> Result<usize, String> {
        let index = self.int()?;
        usize::try_from(index)
            .ok()
            .filter(|index| *index < count)
            .ok_or_else(|| format!("there is no number {index} among the {count} {what}"))
    }

    fn bytes(&mut self) -> Result<&'d [u8], String> {
        let length = self.length()?;
        self.take(length)
    }

    fn length(&mut self) -> Result<usize, String> {
        let length = self.long()?;
        usize::try_from(length).map_err(|_| format!("{length} is no length"))
    }

    fn int(&mut self) -> Result<i32, String> {
        let number = self.long()?;
        i32::try_from(number).map_err(|_| format!("{number} is no int"))
    }

    /// A number of variable length, zigzag.
    fn long(&mut self) -> Result<i64, String> {
        let (mut number, mut shift) = (0_u64, 0);
        loop {
            let [byte] = self.take(1)? else { return Err(ends()) };
            let bits = u64::from(byte & 0x7f);
            if shift > 63 || bits << shift >> shift != bits {
                return Err("a number has more than 64 bits".to_owned());
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
            shift += 7;
        }
    }

    fn take(&mut self, count: usize) -> Result<&'d [u8], String> {
        let (taken, left) = self.left.split_at_checked(count).ok_or_else(ends)?;
        self.left = left;
        Ok(taken)
    }
}

fn ends() -> String {
    "it ends within a value".to_owned()
}
