//! The metadata of a text: a JSON object that is passed on as it was written, but for whitespace and escapes.
//!
//! It is never parsed into numbers, which would round long ones.

use std::collections::BTreeSet;

/// Maximum size of metadata as JSON, in bytes.
const MAX_BYTES: usize = 4096;

/// Maximum nesting depth of objects and arrays, including the metadata itself; as in hybrid.
const MAX_DEPTH: usize = 64;

/// An object or array that is not closed yet.
enum Open {
    Array,
    /// An object with the names so far, and whether a name comes next.
    Object(BTreeSet<String>, bool),
}

/// Makes valid JSON compact. The error is the first problem.
pub(crate) fn compact(json: &str) -> Result<String, String> {
    if !json.trim_start().starts_with('{') {
        return Err("expected a JSON object".to_owned());
    }
    let (mut found, mut open, mut rest) = (String::new(), Vec::new(), json);
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(token_length(rest));
        rest = after;
        match first {
            ' ' | '\t' | '\n' | '\r' => continue,
            '"' => found.push_str(&string(token, open.last_mut())?),
            '0'..='9' | '-' => found.push_str(number(token)?),
            _ => found.push_str(token),
        }
        nest(first, &mut open);
        if open.len() > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep"));
        }
        if found.len() > MAX_BYTES {
            return Err(format!("more than {MAX_BYTES} bytes as JSON"));
        }
    }
    Ok(found)
}

/// Follows objects and arrays.
fn nest(first: char, open: &mut Vec<Open>) {
    match first {
        '{' => open.push(Open::Object(BTreeSet::new(), true)),
        '[' => open.push(Open::Array),
        '}' | ']' => {
            open.pop();
        }
        ',' | ':' => {
            if let Some(Open::Object(_, is_name)) = open.last_mut() {
                *is_name = first == ',';
            }
        }
        _ => {}
    }
}

/// The length of the first token of valid JSON, in bytes.
fn token_length(json: &str) -> usize {
    let bytes = json.as_bytes();
    let is_number = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    match bytes.first() {
        Some(b'"') => {
            let mut index = 1;
            while bytes.get(index).is_some_and(|&byte| byte != b'"') {
                index += if bytes[index] == b'\\' { 2 } else { 1 };
            }
            (index + 1).min(bytes.len())
        }
        Some(first) if is_number(first) => {
            bytes.iter().position(|byte| !is_number(byte)).unwrap_or(bytes.len())
        }
        _ => 1,
    }
}

/// A string with as few escapes as possible. A name must be new in its object.
fn string(token: &str, open: Option<&mut Open>) -> Result<String, String> {
    let text: String = serde_json::from_str(token).map_err(|_| {
        format!("half of a surrogate pair in {}; send both halves", crate::excerpt::excerpt(token))
    })?;
    let shortest = serde_json::Value::from(text.as_str()).to_string();
    if let Some(Open::Object(names, true)) = open
        && !names.insert(text)
    {
        return Err(format!("duplicate name: {}", crate::excerpt::excerpt(&shortest)));
    }
    Ok(shortest)
}

/// A number as it was written, if other services can keep it: a whole one has at most 64 bits, others are finite.
fn number(token: &str) -> Result<&str, String> {
    let is_whole = !token.contains(['.', 'e', 'E']);
    match token.parse::<f64>() {
        Ok(value) if value.is_finite() && (!is_whole || token.parse::<i64>().is_ok()) => Ok(token),
        _ => Err(format!("number out of range: {}; send it as a string", crate::excerpt::excerpt(token))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_stays_as_it_was_written() {
        for (json, expected) in [
            ("{}", "{}"),
            (
                " { \"b\" : [ 1 , null , true ,\t{ } ] ,\r\n \"a\" : -0.10e+5 } ",
                "{\"b\":[1,null,true,{}],\"a\":-0.10e+5}",
            ),
            ("{\"n\":12345678901234567890123456789.10}", "{\"n\":12345678901234567890123456789.10}"),
            ("{\"\\u00fc {[,:\\\\\\\"\":\"a \\/ \\ud83d\\ude00\"}", "{\"ü {[,:\\\\\\\"\":\"a / 😀\"}"),
            ("{\"a\":-9223372036854775808}", "{\"a\":-9223372036854775808}"),
            ("{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}}", "{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}}"),
            ("{\"a\":\"a\",\"b\":\"a\"}", "{\"a\":\"a\",\"b\":\"a\"}"),
        ] {
            assert_eq!(compact(json).as_deref(), Ok(expected));
            let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
            assert_eq!(parse(json), parse(expected));
        }
    }

    #[test]
    fn what_others_could_not_keep_is_a_problem() {
        let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(compact(&nested(MAX_DEPTH)).is_ok());
        let long = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
        assert!(compact(&long(MAX_BYTES)).is_ok());
        for (json, expected) in [
            ("[]", "expected a JSON object"),
            ("\"a\"", "expected a JSON object"),
            ("{\"a\":1,\"\\u0061\":2}", "duplicate name: \"a\""),
            ("{\"x\":[{\"a\":1,\"b\":{},\"a\":2}]}", "duplicate name: \"a\""),
            ("{\"a\":9223372036854775808}", "number out of range: 9223372036854775808"),
            ("{\"a\":-12345678901234567890}", "number out of range"),
            ("{\"a\":[1,-1e400]}", "number out of range: -1e400"),
            ("{\"a\":\"\\ud83d\"}", "half of a surrogate pair in \"\\ud83d\""),
            (&nested(MAX_DEPTH + 1), "nested more than 64 levels deep"),
            (&nested(100_000), "nested more than 64 levels deep"),
            (&long(MAX_BYTES + 1), "more than 4096 bytes"),
        ] {
            let problem = compact(json).expect_err(expected);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
