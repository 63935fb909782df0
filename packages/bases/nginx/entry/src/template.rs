//! Templates with the placeholders `${NAME}` and `${NAME:-default}`. A plain `$name` is an nginx variable and left unchanged.

use std::fmt;

/// An error in a template.
#[derive(Debug, PartialEq)]
pub(crate) struct TemplateError {
    /// Line number, counted from 1.
    pub line: usize,
    /// The problem and the remedy.
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.message)
    }
}

/// Replaces the placeholders in `template` with values from `lookup`. An empty value counts as unset.
///
/// Values must not contain characters that could end or open an nginx directive. Defaults are part of the template and
/// trusted. Placeholders in `#` comments are replaced too.
pub(crate) fn fill(
    template: &str,
    mut lookup: impl FnMut(&str) -> Result<Option<String>, String>,
) -> Result<String, TemplateError> {
    let mut filled = String::with_capacity(template.len());
    for (index, line) in template.split_inclusive('\n').enumerate() {
        fill_line(line, &mut filled, &mut lookup)
            .map_err(|message| TemplateError { line: index + 1, message })?;
    }
    Ok(filled)
}

fn fill_line(
    line: &str,
    filled: &mut String,
    lookup: &mut impl FnMut(&str) -> Result<Option<String>, String>,
) -> Result<(), String> {
    let mut rest = line;
    while let Some(start) = rest.find("${") {
        filled.push_str(&rest[..start]);
        let body = &rest[start + 2..];
        let end = body.find('}').ok_or("unclosed `${`; close it with `}` on the same line")?;
        filled.push_str(&value_of(&body[..end], lookup)?);
        rest = &body[end + 1..];
    }
    filled.push_str(rest);
    Ok(())
}

fn value_of(
    placeholder: &str,
    lookup: &mut impl FnMut(&str) -> Result<Option<String>, String>,
) -> Result<String, String> {
    let (name, default) = match placeholder.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (placeholder, None),
    };
    if !is_name(name) {
        return Err(format!(
            "invalid placeholder: `${{{placeholder}}}`; use ${{NAME}} or ${{NAME:-default}}"
        ));
    }
    if let Some(value) = lookup(name)?.filter(|value| !value.is_empty()) {
        reject_unsafe(name, &value)?;
        return Ok(value);
    }
    default
        .map(str::to_owned)
        .ok_or_else(|| format!("no value for ${{{name}}}; set the environment variable {name}"))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Allows what addresses, URLs and words need, and nothing that nginx would expand, escape or end a directive at. The
/// original image's entrypoint.sh allows the same.
fn reject_unsafe(name: &str, value: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || ":/.,_@%~?=&+!*()[]-".contains(c);
    match value.chars().find(|&c| !is_allowed(c)) {
        Some(found) => Err(format!(
            "the value of {name} contains {found:?}, which is not allowed in the nginx configuration; remove it"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_with(template: &str, values: &[(&str, &str)]) -> Result<String, TemplateError> {
        fill(template, |name| {
            Ok(values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn placeholders_are_replaced_by_values_and_defaults() {
        let filled = fill_with(
            "listen ${PORT:-8080};\nproxy_pass http://${API}/${A:-x}${B:-};\n",
            &[("API", "api:8000"), ("A", "")],
        );
        assert_eq!(filled.as_deref(), Ok("listen 8080;\nproxy_pass http://api:8000/x;\n"));
        assert_eq!(fill_with("${PORT:-8080}", &[("PORT", "81")]).as_deref(), Ok("81"));
    }

    #[test]
    fn nginx_variables_are_left_unchanged() {
        let text = "set $x $host; return 200 $; # $1 $$\r\nlast line without an end";
        assert_eq!(fill_with(text, &[]).as_deref(), Ok(text));
    }

    #[test]
    fn a_missing_value_names_line_and_variable() {
        let error = fill_with("a;\nb ${API_URL};\n", &[]).expect_err("no value");
        assert_eq!(error.line, 2);
        assert!(error.message.contains("API_URL"), "{error}");
    }

    #[test]
    fn a_value_cannot_break_out_of_its_directive() {
        for value in [
            "a;b", "a{", "}", "\"", "'", "a\nb", "a b", "a\tb", "$host", "\\", "\u{0}", "a#b", "\u{a0}",
            "\u{fc}", "|",
        ] {
            let error = fill_with("x ${V};", &[("V", value)]).expect_err(value);
            assert!(error.message.contains("value of V"), "{error}");
        }
    }

    #[test]
    fn invalid_placeholders_are_rejected() {
        for text in ["${", "${A\n}", "${}", "${1A}", "${a-b}", "${A:x}", "${${A}}"] {
            assert!(fill_with(text, &[("A", "a")]).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_not_expanded_again() {
        assert_eq!(fill_with("${A}", &[("A", "NAME"), ("NAME", "no")]).as_deref(), Ok("NAME"));
    }

    #[test]
    fn a_failing_lookup_is_reported_with_its_line() {
        let error = fill("\n\n${X}", |_| Err("unreadable".into())).expect_err("lookup failed");
        assert_eq!(error, TemplateError { line: 3, message: "unreadable".into() });
    }
}
