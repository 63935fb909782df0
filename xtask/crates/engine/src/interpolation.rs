//! Variables in a Compose file's values (Compose Specification, "Interpolation").

/// The longest expanded value in bytes. Linux passes no longer variable to a program (`MAX_ARG_STRLEN`).
const MAX_LENGTH: usize = 1 << 17;

/// The maximum nesting depth of defaults.
const MAX_DEPTH: usize = 100;

/// Replaces variables by their values; unset ones without a default become empty, as in Compose.
///
/// # Errors
/// The message of a required variable (`${NAME:?message}`) that is not set; invalid syntax; a value that becomes too long.
pub fn interpolate(text: &str, value_of: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    interpolate_in(text, value_of, 0)
}

fn interpolate_in(
    text: &str,
    value_of: &dyn Fn(&str) -> Option<String>,
    depth: usize,
) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err("variables are nested too deeply".to_owned());
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            out.push('$');
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('{') {
            let end = closing(behind).ok_or_else(|| format!("unclosed brace: `{text}`"))?;
            out.push_str(&expand(&behind[..end], value_of, depth)?);
            rest = &behind[end + 1..];
        } else {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            out.push_str(&value_of(&rest[..end]).unwrap_or_default());
            rest = &rest[end..];
        }
        // Values that refer to each other can double in length with every line.
        if out.len() > MAX_LENGTH.max(text.len()) {
            return Err(format!("a value becomes longer than {MAX_LENGTH} bytes"));
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The index of the brace that closes the one before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            // Compose counts every brace (compose-go, `template.getFirstBraceClosingIndex`).
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(i),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The inside of `${…}`.
fn expand(inside: &str, value_of: &dyn Fn(&str) -> Option<String>, depth: usize) -> Result<String, String> {
    let end = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
    let (name, operator) = inside.split_at(end);
    let value = value_of(name);
    let filled = value.clone().filter(|value| !value.is_empty());
    // With a colon, an empty value counts as unset.
    let (kept, operator) = match operator.strip_prefix(':') {
        Some(operator) => (filled, operator),
        None => (value.clone(), operator),
    };
    let mut chars = operator.chars();
    let kind = chars.next();
    let word = chars.as_str();
    match (kind, kept) {
        (None, _) => Ok(value.unwrap_or_default()),
        (Some('-' | '?'), Some(value)) => Ok(value),
        (Some('-'), None) | (Some('+'), Some(_)) => interpolate_in(word, value_of, depth + 1),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => Err(format!("{name} is not set: {word}")),
        _ => Err(format!("invalid variable: `${{{inside}}}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<String, String> {
        interpolate(text, &|name| match name {
            "SET" => Some("value".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn every_form_of_the_specification() {
        for (text, expected) in [
            ("a:$SET.b", "a:value.b"),
            ("${SET}", "value"),
            ("${NONE}", ""),
            ("$$SET", "$SET"),
            ("${EMPTY:-d}|${EMPTY-d}|${NONE-d}", "d||d"),
            ("${NONE:-${ALSO:-deep}}", "deep"),
            ("${SET:+x}|${EMPTY:+x}|${EMPTY+x}", "x||x"),
            ("${SET:?m}", "value"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(of("${NONE:?say it}"), Err("NONE is not set: say it".into()));
        assert_eq!(of("${EMPTY?say it}").as_deref(), Ok(""));
        assert!(of("${SET").is_err());
        assert!(of("${SET%x}").is_err());
        let nested = |depth: usize| format!("{}x{}", "${NONE:-".repeat(depth), "}".repeat(depth));
        assert_eq!(of(&nested(100)).as_deref(), Ok("x"));
        assert!(of(&nested(100_000)).is_err());
        assert!(of(&"${SET}".repeat(30_000)).is_ok_and(|text| text.len() == 150_000));
        assert!(of(&"$SET".repeat(40_000)).is_err());
    }
}
