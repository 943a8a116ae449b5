//! A configuration as it may be shown: the same YAML, without a secret.
//!
//! Who asks `/api/v1/status/config` may be anybody, so what looks like a secret is taken for one: values of keys such as
//! `password` and `credentials`, all values of `headers`, the addresses of receivers, and passwords inside addresses.
//! Defaults are not filled in and comments are gone.

use yaml::Node;

/// What stands for a secret, as with the peer.
const SECRET: &str = "<secret>";

/// Ends of the names of keys whose values are secrets.
const SECRET_KEYS: [&str; 9] =
    ["password", "credentials", "secret", "token", "secret_key", "api_key", "routing_key", "service_key", "tls_key"];

/// Returns the YAML of a file's root.
pub(super) fn shown(root: &Node) -> String {
    let mut out = String::new();
    write(&mut out, root, 0, Within::default());
    out
}

#[derive(Debug, Clone, Copy, Default)]
struct Within {
    /// Every value is a secret here.
    headers: bool,
    /// A key is a secret here.
    tls: bool,
    /// Addresses are secrets here.
    receivers: bool,
}

fn write(out: &mut String, node: &Node, depth: usize, within: Within) {
    let children = node.children();
    if node.is_map() && !children.is_empty() {
        for child in children {
            let name = child.name().unwrap_or("").to_owned();
            indent(out, depth);
            scalar(out, &name);
            out.push(':');
            let within = Within {
                headers: within.headers || ["headers", "http_headers", "basic_auth_users"].contains(&name.as_str()),
                tls: within.tls || name == "tls_config",
                receivers: within.receivers || name == "receivers" || name == "notify",
            };
            value(out, &child, &name, depth + 1, within);
        }
    } else if node.is_list() && !children.is_empty() {
        let name = node.name().unwrap_or("").to_owned();
        for child in children {
            indent(out, depth);
            out.push('-');
            value(out, &child, &name, depth + 1, within);
        }
    }
}

fn value(out: &mut String, node: &Node, name: &str, depth: usize, within: Within) {
    let is_empty = node.children().is_empty();
    match node.text() {
        Some(text) => {
            out.push(' ');
            scalar(out, &without_secret(text, name, within));
        }
        None if node.is_map() && is_empty => out.push_str(" {}"),
        None if node.is_list() && is_empty => out.push_str(" []"),
        None if node.is_null() => {}
        None => {
            out.push('\n');
            return write(out, node, depth, within);
        }
    }
    out.push('\n');
}

fn without_secret(text: &str, name: &str, within: Within) -> String {
    let name = name.to_ascii_lowercase();
    let is_secret =
        SECRET_KEYS.iter().any(|key| name.ends_with(key)) || within.headers || (within.tls && name == "key");
    let is_address = within.receivers && name.ends_with("url");
    if (is_secret || is_address) && !text.is_empty() {
        return SECRET.to_owned();
    }
    // http://user:password@host
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((user, _)) => {
            let user_name = user.split(':').next().unwrap_or("");
            let after = rest.get(user.len()..).unwrap_or("");
            [scheme, "://", user_name, ":xxxxx", after].concat()
        }
        None => text.to_owned(),
    }
}

fn indent(out: &mut String, depth: usize) {
    (0..depth).for_each(|_| out.push_str("  "));
}

fn scalar(out: &mut String, text: &str) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-+".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) && !text.starts_with(['-', '.', '+']) {
        out.push_str(text);
    } else {
        crate::web::json::string(out, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_at_home() {
        let text = "\
global: {scrape_interval: 15s, external_labels: {site: 'a: \"b\"'}}
rule_files: []
remote_write:
  - url: http://me:hidden@central:9090/api/v1/write?x=1
    headers: {X-Key: hidden}
    basic_auth: {username: me, password: hidden, password_file: /etc/narthex/password}
  - url: http://other/w
    authorization: {credentials: hidden}
    tls_config: {ca: shown, key: hidden}
web: {basic_auth_users: {barn: hidden}, bearer_token: hidden}
mqtt:
notify: {receivers: [{name: x, webhook_configs: [{url: 'http://hook/hidden'}]}]}
";
        let root = yaml::parse("test", text).expect("YAML");
        let found = shown(&root);
        assert!(!found.contains("hidden"), "{found}");
        for kept in [
            "site: \"a: \\\"b\\\"\"",
            "rule_files: []",
            "\"http://me:xxxxx@central:9090/api/v1/write?x=1\"",
            "password_file: /etc/narthex/password",
            "mqtt:\n",
            "ca: shown",
            "barn: \"\\u003csecret\\u003e\"",
        ] {
            assert!(found.contains(kept), "{kept}: {found}");
        }
        let again = yaml::parse("shown", &found).expect("what is shown is YAML");
        assert_eq!(shown(&again).matches('\n').count(), found.matches('\n').count());
    }
}
