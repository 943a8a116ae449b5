//! Reads protobuf's wire format field by field, without copying and without trusting a length.
//!
//! A field's bytes are a slice of what is there; a length that claims more is an error before anything is done with
//! it. Groups, which nobody sends any more, are errors. Source: protobuf.dev, "Encoding".

/// One field's value as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Field<'a> {
    /// Returns the number of an integer field, 0 of another.
    pub(crate) fn integer(self) -> u64 {
        match self {
            Field::Varint(value) => value,
            _ => 0,
        }
    }

    /// Returns the number of a double field, 0 of another.
    pub(crate) fn double(self) -> f64 {
        match self {
            Field::Fixed64(bits) => f64::from_bits(bits),
            _ => 0.0,
        }
    }

    /// Returns the bytes of a text or message, none of another.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Field::Bytes(bytes) => bytes,
            _ => &[],
        }
    }
}

/// Undoes the zigzag that signed fields have.
pub(crate) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A message, or the rest of one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wire<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Wire<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Wire<'a> {
        Wire { rest: message }
    }

    /// Takes the next field with its number; `None` at the end.
    pub(crate) fn field(&mut self) -> Result<Option<(u64, Field<'a>)>, String> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => Field::Bytes(self.delimited()?),
            5 => Field::Fixed32(u32::from_le_bytes(self.fixed()?)),
            other => return Err(format!("expected a protobuf field, got wire type {other}")),
        };
        if key >> 3 == 0 {
            return Err("expected a protobuf field, got field number 0".to_owned());
        }
        Ok(Some((key >> 3, field)))
    }

    /// Takes a length and as many bytes.
    pub(crate) fn delimited(&mut self) -> Result<&'a [u8], String> {
        let claimed = self.varint()?;
        let there = self.rest.len();
        let Some((bytes, rest)) = usize::try_from(claimed).ok().and_then(|bytes| self.rest.split_at_checked(bytes))
        else {
            return Err(format!("expected {claimed} bytes of protobuf, {there} are there"));
        };
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0u64;
        for (i, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i as u32);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err("expected a protobuf number, got one that does not end".to_owned())
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| format!("expected {N} bytes of protobuf, {} are there", self.rest.len()))?;
        self.rest = rest;
        Ok(*bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_what_is_torn_is_refused() {
        let mut wire = Wire::new(b"\x08\x96\x01\x11\0\0\0\0\0\0\xf0\x3f\x1a\x02hi\x25\x01\0\0\0");
        let mut fields = Vec::new();
        while let Some(field) = wire.field().expect("good bytes") {
            fields.push(field);
        }
        let one = 1f64.to_bits();
        assert_eq!(
            fields,
            [(1, Field::Varint(150)), (2, Field::Fixed64(one)), (3, Field::Bytes(b"hi")), (4, Field::Fixed32(1))]
        );
        for torn in [&b"\x08"[..], b"\x08\x80", b"\x1a\x03hi", b"\x11\0", b"\x0b", b"\x02\0", b"\x80\x80"] {
            assert!(Wire::new(torn).field().is_err(), "{torn:?}");
        }
        let huge = b"\x1a\xff\xff\xff\xff\x0f...";
        assert_eq!(
            Wire::new(huge).field().expect_err("4 GB"),
            "expected 4294967295 bytes of protobuf, 3 are there".to_owned()
        );
        assert_eq!([0, 1, 2, 3, u64::MAX].map(zigzag), [0, -1, 1, -2, i64::MIN]);
    }
}
