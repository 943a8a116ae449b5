//! Names as DNS writes them, for questions to a server and for those to everybody on the wire.
//!
//! A name is labels, each behind its length, then a zero; or a pointer to where the rest of it stands. Pointers only
//! ever lead to what was before them, so there is no loop. What a label's bytes mean is the reader's affair.
//!
//! Source: RFC 1035, sections 3.1 and 4.1.4.

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// The longest label, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Appends a name to a question; `None` where these cannot be the labels of one.
pub fn put<'a>(out: &mut Vec<u8>, labels: impl Iterator<Item = &'a str>) -> Option<()> {
    let start = out.len();
    for label in labels {
        if label.is_empty() || label.len() > LABEL_BYTES_MAX {
            return None;
        }
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    (2..=NAME_BYTES_MAX).contains(&(out.len() - start)).then_some(())
}

/// Hands over the labels of the name that begins here; returns where it ends in the message. `None` where it is broken.
pub fn take(message: &[u8], start: usize, each: &mut dyn FnMut(&[u8])) -> Option<usize> {
    let (mut at, mut end, mut limit, mut bytes) = (start, None, start, 0);
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some(end.unwrap_or(at + 1)),
            1..=LABEL_BYTES_MAX => {
                bytes += length + 1;
                if bytes > NAME_BYTES_MAX {
                    return None;
                }
                each(message.get(at + 1..at + 1 + length)?);
                at += 1 + length;
            }
            0xc0.. => {
                let target = (length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                end.get_or_insert(at + 2);
                // Only backwards: every jump makes what is left to jump to smaller.
                if target >= limit {
                    return None;
                }
                (at, limit) = (target, target);
            }
            _ => return None,
        }
    }
}
