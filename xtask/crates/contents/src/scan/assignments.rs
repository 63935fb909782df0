//! Secrets in configuration files and scripts: literal values of variables, options and keys with a secret's name, passwords in
//! URLs, credentials in requests. Only for files that set variables; in source code this would give false alarms.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::credentials::password_of_url;
use super::literal::{is_credential, is_literal};
use super::names::is_secret;

/// How a text writes assignments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// `NAME=VALUE`, a line each: an environment file. A value ends with its line or a space.
    Variables,
    /// Also `NAME: VALUE`, options, and several of them in a line: Compose files, Dockerfiles, scripts.
    Mixed,
}

/// The secrets in a text: line number, from 1, and description. Never returns values.
pub fn find(text: &str, syntax: Syntax) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        // Unescape nested quotes and line breaks.
        let line = line.replace("\\\"", "\"").replace("\\n", " ");
        let mut whats = in_line(&line, syntax);
        whats.sort();
        whats.dedup();
        found.extend(whats.into_iter().map(|what| (number, what)));
    }
    found
}

fn in_line(line: &str, syntax: Syntax) -> Vec<String> {
    let passwords = line.split("://").skip(1).filter_map(password_of_url);
    let mut found: Vec<String> =
        passwords.filter(|value| is_credential(value)).map(|_| "a password in a URL".to_owned()).collect();
    for (at, _) in line.match_indices(['=', ':', ' ', ',', '-']) {
        let Some(assignment) = Assignment::at(line, at) else { continue };
        let Assignment { name, rest, .. } = assignment;
        let is_variable = assignment.is_variable || syntax == Syntax::Mixed;
        if is_variable && is_secret(&words(name)) && is_literal(name, assignment.value(syntax)) {
            found.push(format!("the value of {name}"));
        } else if is_request_credential(name, rest, line) {
            found.push("the credentials of a request".to_owned());
        }
    }
    found.extend(login(line).filter(|value| is_credential(value)).map(|_| "a login password".to_owned()));
    found
}

/// The longest name to consider; limits the work on long lines.
const LONGEST_NAME: usize = 100;

/// A name and its value.
struct Assignment<'l> {
    name: &'l str,
    /// The rest of the line, starting with the value.
    rest: &'l str,
    /// The quote around the whole assignment: `"NAME=VALUE"`.
    quote: Option<char>,
    /// Whether it is `NAME=VALUE` or a default.
    is_variable: bool,
}

impl<'l> Assignment<'l> {
    /// The assignment whose name and value are separated at this position.
    fn at(line: &'l str, at: usize) -> Option<Assignment<'l>> {
        let (before, after) = line.split_at(at);
        let start = before.len().saturating_sub(LONGEST_NAME);
        let before = &before[(start..).find(|at| before.is_char_boundary(*at))?..];
        let unquoted = before.trim_end_matches(' ').trim_end_matches(['"', '\'']);
        let word = last_name(unquoted);
        let name = word.trim_start_matches('-');
        let is_option = name.len() < word.len();
        let mut chars = after.chars();
        let (separator, rest) = (chars.next()?, chars.as_str());
        let front = before.strip_suffix(word);
        let rest = match separator {
            _ if name.is_empty() => return None,
            // A default: `${NAME:-VALUE}`, `${NAME-VALUE}`, `${NAME:=VALUE}`.
            ':' if front.is_some_and(|front| front.ends_with("${")) => rest.strip_prefix(['-', '='])?,
            '-' if front.is_some_and(|front| front.ends_with("${")) => rest,
            '=' if !rest.starts_with('=') => rest,
            // `host:port` and `image:tag` assign nothing.
            ':' if rest.starts_with([' ', '\t', '"', '\'']) => rest,
            // `--option value` and `"--option", "value"`.
            ',' if is_option => rest,
            ' ' if is_option || is_env(before, word) => rest,
            _ => return None,
        };
        let quote = front.and_then(|front| front.chars().next_back()).filter(|c| ['"', '\''].contains(c));
        let is_variable = separator != ':' && !is_option || front.is_some_and(|front| front.ends_with("${"));
        Some(Assignment {
            name,
            rest: rest.trim_start(),
            quote: quote.filter(|_| separator == '='),
            is_variable,
        })
    }

    /// The value without quotes.
    fn value(&self, syntax: Syntax) -> &'l str {
        match self.quote {
            Some(quote) => self.rest.split(quote).next().unwrap_or_default(),
            None => value(self.rest, syntax),
        }
    }
}

/// The legacy `ENV NAME VALUE` of Dockerfiles.
fn is_env(before: &str, name: &str) -> bool {
    before.strip_suffix(name).is_some_and(|start| start.trim().eq_ignore_ascii_case("env"))
}

fn last_name(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.rfind(|c| !is_part(c)).map_or(text, |at| text[at..].trim_start_matches(|c| !is_part(c)))
}

/// The value at the start of a text, without quotes.
fn value(text: &str, syntax: Syntax) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            return rest.split(quote).next().unwrap_or_default();
        }
    }
    let ends = |c: char| c.is_whitespace() || syntax == Syntax::Mixed && "\"',;&|)]}`".contains(c);
    text.split(ends).next().unwrap_or_default()
}

/// `authToken` as `auth_Token`.
fn words(name: &str) -> String {
    let mut words = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if before.is_ascii_lowercase() && c.is_ascii_uppercase() {
            words.push('_');
        }
        words.push(c);
        before = c;
    }
    words
}

/// `Authorization: Bearer TOKEN`, `"auth": "BASE64"` of a registry login, `curl --user NAME:PASSWORD`.
fn is_request_credential(name: &str, rest: &str, line: &str) -> bool {
    let is_pair = |pair: &str| pair.split_once(':').is_some_and(|(_, password)| is_credential(password));
    let is_login = |word: &str| {
        let pair = STANDARD.decode(word).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        pair.is_some_and(|pair| is_pair(&pair))
    };
    let word = |text| value(text, Syntax::Mixed);
    match name.to_ascii_lowercase().as_str() {
        "authorization" | "proxy-authorization" => {
            let Some((kind, rest)) = rest.trim_start_matches(['"', '\'']).split_once(' ') else {
                return false;
            };
            match kind.to_ascii_lowercase().as_str() {
                "basic" => is_login(word(rest)),
                "bearer" | "token" => word(rest).len() >= 16 && is_credential(word(rest)),
                _ => false,
            }
        }
        "auth" | "_auth" => is_login(word(rest)),
        "u" | "user" => line.contains("curl ") && is_pair(word(rest)),
        _ => false,
    }
}

/// The password in a line of `.netrc`.
fn login(line: &str) -> impl Iterator<Item = &str> {
    let mut words =
        line.split(|c: char| c.is_whitespace() || "\"'".contains(c)).filter(|word| !word.is_empty());
    let is_login = line.contains("machine ") && line.contains(" login ");
    words.find(|word| is_login && *word == "password").and_then(|_| words.next()).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_found_in_every_syntax() {
        let password = format!("hunter{}", "2-real");
        for line in [
            "PASSWORD=%",
            "export DB_PASSWORD='%'",
            "A=1 DB_PASSWORD=% exec serve",
            "password = %",
            "- \"DB_PASSWORD=%\"",
            "DB_PASSWORD: %",
            "  \"password\": \"%\",",
            "{ user: x, password: % }",
            "ENV DB_PASSWORD %",
            "serve --db-password %",
            "[\"serve\", \"--db-password\", \"%\"]",
            "serve --db-password=%",
            ": \"${DB_PASSWORD:=%}\"",
            "echo ${DB_PASSWORD-%}",
            "DB_PASSWORD: ${OTHER:-%}",
            "sh -c \"DB_PASSWORD=% exec serve\"",
            "echo '{\\\"password\\\": \\\"%\\\"}'",
            "X-Api-Token: %",
            "https://app:%@host/",
            "url=amqp://:%@host",
            "curl -u app:% https://h",
            "machine h login me password %",
        ] {
            let line = line.replace('%', &password);
            assert_eq!(find(&line, Syntax::Mixed).len(), 1, "{line}: {:?}", find(&line, Syntax::Mixed));
        }
    }

    #[test]
    fn comparisons_ports_and_names_alone_assign_nothing() {
        for line in [
            "if [ \"$x\" == token-4f8a9c11 ]",
            "image: token:4f8a9c11-b",
            "token:4f8a9c11-b",
            "DB_PASSWORD",
            "serve token 4f8a9c11-b",
            "--token",
            "=",
            "${:-4f8a9c11-b}",
        ] {
            assert_eq!(find(line, Syntax::Mixed), [], "{line}");
        }
        // Prose in the comments of an environment file.
        assert_eq!(find("# token: 4f8a9c11-b", Syntax::Variables), []);
    }

    #[test]
    fn a_long_line_takes_no_longer_than_its_length() {
        let line = "a-é ".repeat(200_000);
        assert_eq!(find(&line, Syntax::Mixed), []);
    }
}
