//! Tokens: words, quoted texts and signs, each with its position.

use super::FilterError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Text without spaces and signs: a name, an address, a number, a time.
    Word(String),
    /// A quoted text.
    Text(String),
    Open,
    Close,
    Comma,
    /// A sign: `=`, `!=`, `<`, `<=`, `>`, `>=`
    Sign(&'static str),
}

/// Signs and their meanings, longer signs first.
const SIGNS: [(&str, &str); 7] =
    [("!=", "!="), ("==", "="), ("<=", "<="), (">=", ">="), ("=", "="), ("<", "<"), (">", ">")];

/// Splits a text into tokens, each with the offset of its first byte.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, FilterError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(char) = text[at..].chars().next() {
        let rest = &text[at..];
        let begin = at;
        let token = match char {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '(' | ')' | ',' => {
                at += 1;
                match char {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    _ => Token::Comma,
                }
            }
            '"' | '\'' => {
                let (content, length) = quoted(rest, char).ok_or_else(|| FilterError {
                    text: text.to_owned(),
                    at: begin,
                    message: format!("no {char} ends the text that begins here"),
                })?;
                at += length;
                Token::Text(content)
            }
            _ => {
                if let Some((sign, means)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
                    at += sign.len();
                    Token::Sign(means)
                } else {
                    let ends = |c: char| c.is_whitespace() || "(),=<>\"'".contains(c);
                    // The first character cannot end a word, or an earlier arm would have matched.
                    let length = rest.char_indices().skip(1).find(|&(_, c)| ends(c)).map_or(rest.len(), |(i, _)| i);
                    // In `port!=22`, the `!` belongs to the sign.
                    let length = rest[..length]
                        .strip_suffix('!')
                        .filter(|word| !word.is_empty() && rest[length..].starts_with('='))
                        .map_or(length, str::len);
                    at += length;
                    Token::Word(rest[..length].to_owned())
                }
            }
        };
        tokens.push((begin, token));
    }
    Ok(tokens)
}

/// The content of a quoted text, and the length of the text with its quotes. A backslash escapes the next character.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => content.push(chars.next()?.1),
            c if c == quote => return Some((content, at + 1)),
            c => content.push(c),
        }
    }
    None
}
