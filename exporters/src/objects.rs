//! Reads flat JSON objects: the form of the fixtures that two flags of the peer name.
//!
//! ```text
//! [{"IfaceName": "wlan0", "Bytes": 42, "Kind": "fq"}, ...]
//! ```
//!
//! Values are texts and integers; what is nested, escaped or anything else ends the reading. This is no general
//! reader and reads nothing that comes from outside.

/// One object: its keys and values, values as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, String)>);

impl Object {
    /// Returns a value as text, empty where there is none.
    pub fn text(&self, key: &str) -> &str {
        self.0.iter().find(|(known, _)| known == key).map_or("", |(_, value)| value)
    }

    /// Returns a value as an integer, 0 where there is none.
    pub fn number(&self, key: &str) -> i64 {
        self.text(key).parse().unwrap_or(0)
    }
}

/// Reads one object or a list of them; `None` where the text is anything else.
pub fn read(text: &str) -> Option<Vec<Object>> {
    let text = text.trim();
    let mut rest = text.strip_prefix('[').map_or(Some(text), |list| list.trim_end().strip_suffix(']'))?.trim();
    let mut objects = Vec::new();
    while !rest.is_empty() {
        let (inside, after) = rest.strip_prefix('{')?.split_once('}')?;
        objects.push(read_object(inside)?);
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Some(objects)
}

fn read_object(mut inside: &str) -> Option<Object> {
    let mut object = Object::default();
    inside = inside.trim();
    while !inside.is_empty() {
        let (key, after) = inside.strip_prefix('"')?.split_once('"')?;
        let after = after.trim_start().strip_prefix(':')?.trim_start();
        let (value, after) = match after.strip_prefix('"') {
            Some(text) => text.split_once('"')?,
            None => after.split_at(after.find([',', '\n']).unwrap_or(after.len())),
        };
        if value.contains(['\\', '[', '{']) {
            return None;
        }
        object.0.push((key.to_owned(), value.trim().to_owned()));
        inside = after.trim_start();
        inside = inside.strip_prefix(',').unwrap_or(inside).trim_start();
    }
    Some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_objects_are_read_alone_or_in_a_list() {
        let one = read("{\n  \"name\": \"wlan0\",\n\t\"signal\": -52\n}\n").expect("an object");
        assert_eq!((one[0].text("name"), one[0].number("signal"), one[0].number("type")), ("wlan0", -52, 0));
        assert_eq!(read("[{\"a\":1},{\"b\":\"2\"}]").map(|list| list.len()), Some(2));
        assert_eq!(read("[]"), Some(Vec::new()));
        for bad in ["x", "[{]", "{\"a\"}", "{\"a\": [1]}", "{\"a\": \"\\n\"}", "{a: 1}"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
