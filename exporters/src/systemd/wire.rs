//! Messages of D-Bus: how a call is written and how an answer is taken apart.
//!
//! ```text
//! 'l' type flags 1 | body bytes u32 | serial u32 | fields: bytes u32, then {code u8, signature, value} each at 8
//! ... filled up to 8 bytes, then the body
//! ```
//!
//! Values are aligned to their size, texts are a length, bytes and a zero. An answer is not believed: what is cut
//! short or of another type than expected is `None`. Only little-endian answers are understood, which is what a
//! little-endian machine's daemon sends. The format is the D-Bus specification 0.43's.

/// The most bytes of one message here, enough for fifty thousand units; the specification allows eight times as many.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// The fixed part before the fields, with the length of the fields.
pub const HEAD_BYTES: usize = 16;

const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// One method call.
pub struct Call<'a> {
    /// Whose object it is.
    pub destination: &'a str,
    /// Which object.
    pub path: &'a str,
    /// Which interface of it.
    pub interface: &'a str,
    /// Which method.
    pub member: &'a str,
    /// Its arguments, all of them texts.
    pub arguments: &'a [&'a str],
}

impl Call<'_> {
    /// Appends the call with this serial number.
    pub fn write(&self, serial: u32, out: &mut Vec<u8>) {
        let start = out.len();
        let align = |out: &mut Vec<u8>, to: usize| out.resize(start + (out.len() - start).next_multiple_of(to), 0);
        let text = |out: &mut Vec<u8>, text: &str| {
            align(out, 4);
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        };
        out.extend_from_slice(&[b'l', CALL, 0, 1, 0, 0, 0, 0]);
        out.extend_from_slice(&serial.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for (code, kind, value) in [
            (PATH, b'o', self.path),
            (INTERFACE, b's', self.interface),
            (MEMBER, b's', self.member),
            (DESTINATION, b's', self.destination),
        ] {
            align(out, 8);
            out.extend_from_slice(&[code, 1, kind, 0]);
            text(out, value);
        }
        if !self.arguments.is_empty() {
            align(out, 8);
            out.extend_from_slice(&[SIGNATURE, 1, b'g', 0, self.arguments.len() as u8]);
            out.extend(std::iter::repeat_n(b's', self.arguments.len()));
            out.push(0);
        }
        let fields = (out.len() - start - HEAD_BYTES) as u32;
        align(out, 8);
        let body = out.len();
        for argument in self.arguments {
            text(out, argument);
        }
        let body = (out.len() - body) as u32;
        out[start + 4..start + 8].copy_from_slice(&body.to_le_bytes());
        out[start + 12..start + 16].copy_from_slice(&fields.to_le_bytes());
    }
}

/// One message that was received.
#[derive(Debug, PartialEq)]
pub struct Answer<'a> {
    /// Which call it answers, and whether that went well; nothing for signals.
    pub to: Option<(u32, bool)>,
    /// What it says.
    pub body: &'a [u8],
}

/// Returns how many bytes a message has, from its first [`HEAD_BYTES`]; nothing where this is no message or one
/// over [`MESSAGE_BYTES_MAX`].
pub fn message_bytes(head: &[u8]) -> Option<usize> {
    let body = u32_at(head, 4)? as usize;
    let fields = u32_at(head, 12)? as usize;
    let bytes = HEAD_BYTES.checked_add(fields)?.checked_next_multiple_of(8)?.checked_add(body)?;
    (head[0] == b'l' && head.get(3) == Some(&1) && bytes <= MESSAGE_BYTES_MAX).then_some(bytes)
}

/// Takes a whole message apart.
pub fn read(message: &[u8]) -> Option<Answer<'_>> {
    let kind = *message.get(1)?;
    let fields = u32_at(message, 12)? as usize;
    let body = message.get((HEAD_BYTES + fields).next_multiple_of(8)..)?;
    let mut values = Values::new(message.get(..HEAD_BYTES + fields)?);
    values.at = HEAD_BYTES;
    let mut reply = None;
    while values.at < HEAD_BYTES + fields {
        values.align(8);
        let code = values.byte()?;
        match values.signature()? {
            "u" => {
                let value = values.number()?;
                reply = reply.or((code == REPLY_SERIAL).then_some(value));
            }
            "g" => {
                values.signature()?;
            }
            "s" | "o" => {
                values.text()?;
            }
            _ => return None,
        }
    }
    let to = match kind {
        RETURN => Some((reply?, true)),
        ERROR => Some((reply?, false)),
        _ => None,
    };
    Some(Answer { to, body })
}

/// Reads values one after the other.
pub struct Values<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Values<'a> {
    /// Starts at the beginning of a body.
    pub fn new(bytes: &'a [u8]) -> Values<'a> {
        Values { bytes, at: 0 }
    }

    /// Goes on to a multiple of this many bytes.
    pub fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    /// Returns where the next value stands.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Reads a byte.
    pub fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Reads an unsigned integer of 32 bits.
    pub fn number(&mut self) -> Option<u32> {
        self.align(4);
        let value = u32_at(self.bytes, self.at)?;
        self.at += 4;
        Some(value)
    }

    /// Reads a text or the path of an object.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = self.number()? as usize;
        let text = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length + 1;
        std::str::from_utf8(text).ok()
    }

    /// Reads a signature.
    pub fn signature(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        let text = self.bytes.get(self.at..self.at + length)?;
        self.at += length + 1;
        std::str::from_utf8(text).ok()
    }

    /// Reads a variant that holds a text.
    pub fn text_variant(&mut self) -> Option<&'a str> {
        if self.signature()? == "s" { self.text() } else { None }
    }

    /// Reads a variant that holds an unsigned integer of 32 or 64 bits.
    pub fn number_variant(&mut self) -> Option<u64> {
        match self.signature()? {
            "u" => self.number().map(u64::from),
            "t" => {
                self.align(8);
                self.bytes.get(self.at..self.at + 8)?.try_into().ok().map(u64::from_le_bytes)
            }
            _ => None,
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to call 7 that holds the variant `"running"`, as a daemon sends it.
    fn answer() -> Vec<u8> {
        let mut bytes = vec![b'l', RETURN, 1, 1, 16, 0, 0, 0, 9, 0, 0, 0, 15, 0, 0, 0];
        bytes.extend_from_slice(&[REPLY_SERIAL, 1, b'u', 0, 7, 0, 0, 0]);
        bytes.extend_from_slice(&[SIGNATURE, 1, b'g', 0, 1, b'v', 0, 0]);
        bytes.extend_from_slice(&[1, b's', 0, 0, 7, 0, 0, 0]);
        bytes.extend_from_slice(b"running\0");
        bytes
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let bytes = answer();
        assert_eq!(message_bytes(&bytes), Some(bytes.len()));
        let answer = read(&bytes).expect("whole");
        assert_eq!(answer.to, Some((7, true)));
        assert_eq!(Values::new(answer.body).text_variant(), Some("running"));
        assert_eq!(Values::new(answer.body).number_variant(), None);
    }

    #[test]
    fn nothing_cut_short_is_believed() {
        let whole = answer();
        for end in 0..whole.len() {
            let text = read(&whole[..end]).and_then(|answer| Values::new(answer.body).text_variant());
            assert!(text.is_none() || end + 1 == whole.len(), "{end}");
        }
        for at in 0..whole.len() {
            let mut odd = whole.clone();
            odd[at] = 0xff;
            // Whatever it says, it says it without a panic.
            if let Some(answer) = read(&odd) {
                Values::new(answer.body).text_variant();
                Values::new(answer.body).number_variant();
            }
            message_bytes(&odd);
        }
    }

    #[test]
    fn a_call_is_aligned_wherever_it_begins() {
        let call = Call { destination: "d", path: "/p", interface: "i", member: "M", arguments: &["a", "bc"] };
        let mut out = vec![1, 2, 3];
        call.write(5, &mut out);
        let bytes = out.split_off(3);
        assert_eq!(message_bytes(&bytes), Some(bytes.len()));
        assert_eq!(bytes[8], 5);
        let body = read(&bytes).expect("a message").body;
        let mut values = Values::new(body);
        assert_eq!((values.text(), values.text(), values.text()), (Some("a"), Some("bc"), None));
    }
}
