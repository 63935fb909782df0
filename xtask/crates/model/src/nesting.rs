//! Limits the nesting of TOML. After a syntax error, toml_parser 1.1.5 miscounts the depth (it closes an inline table without a
//! key that it never opened), so a broken file could overflow the stack.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// More than toml accepts in a valid file (80).
const MAX_DEPTH: usize = 100;

/// The first byte where the nesting is too deep for the parser.
pub fn too_deep(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    for token in Source::new(text).lex() {
        match token.kind() {
            kind @ (TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket) => open.push(kind),
            // The parser ignores a bracket that closes nothing.
            TokenKind::RightSquareBracket => drop(open.pop_if(|kind| *kind == TokenKind::LeftSquareBracket)),
            TokenKind::RightCurlyBracket => drop(open.pop_if(|kind| *kind == TokenKind::LeftCurlyBracket)),
            _ => {}
        }
        if open.len() > MAX_DEPTH {
            return Some(token.span().start());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nested_brackets_count() {
        let flat = "[a]\nb = [{ c = '[[[' }] # [[[\n".repeat(1000);
        assert_eq!(too_deep(&flat), None);
        assert_eq!(too_deep(&format!("{flat}x = {}", "[".repeat(101))), Some(flat.len() + 104));
        assert_eq!(too_deep(&"{a=[},".repeat(100)), Some(50 * 6));
    }
}
