//! Nesting of TOML. After a syntax error, toml_parser loses count of the depth (1.1.5: an inline table without a key is closed, but
//! was not opened), so that a broken file could overflow the stack.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// Deeper than in any valid file: toml allows 80 levels.
const MAX_DEPTH: usize = 100;

/// The byte at which a text is nested too deeply for the parser.
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
