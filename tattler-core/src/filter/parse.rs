//! Conversion of text to a filter, by recursive descent:
//!
//! ```text
//! or    = and { "or" and }
//! and   = not { "and" not }
//! not   = "not" not | "(" or ")" | test
//! test  = flag | field [ "not" ] [ "in" | sign ] list | field "between" value "and" value
//! list  = value { "," value } | "(" list ")"
//! ```

use std::ops::RangeInclusive;

use ipnet::Ipv6Net;

use super::field::{self, Field, Type};
use super::token::{Token, tokens};
use super::{FieldTest, Filter, FilterError};
use crate::time::{Span, Time};
use crate::when;

/// The maximum nesting depth of parentheses and `not`.
pub const MAX_DEPTH: usize = 64;
/// The maximum length of a filter, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;

/// Reads a filter over `fields`. Times such as `2h` mean two hours before `now`.
///
/// # Errors
/// A description of the error, and its position.
pub fn parse(text: &str, fields: &[Field], now: Time) -> Result<Filter, FilterError> {
    if text.len() > MAX_LENGTH {
        let message = format!("it is longer than {MAX_LENGTH} bytes");
        return Err(FilterError { text: text.chars().take(40).collect(), at: 0, message });
    }
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, fields, now, depth: 0 };
    let filter = parser.or()?;
    match parser.peek() {
        None => Ok(filter),
        Some(Token::Close) => parser.fail("no parenthesis is open here"),
        Some(_) => parser.fail(format!("expected `and`, `or` or the end, not {}", parser.found())),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token)>,
    next: usize,
    fields: &'a [Field],
    now: Time,
    depth: usize,
}

type Parsed<T> = Result<T, FilterError>;

impl Parser<'_> {
    fn or(&mut self) -> Parsed<Filter> {
        let mut any = vec![self.and()?];
        while self.take_word("or") {
            any.push(self.and()?);
        }
        Ok(one_or(any, Filter::Or))
    }

    fn and(&mut self) -> Parsed<Filter> {
        let mut all = vec![self.not()?];
        while self.take_word("and") {
            all.push(self.not()?);
        }
        Ok(one_or(all, Filter::And))
    }

    fn not(&mut self) -> Parsed<Filter> {
        if self.depth == MAX_DEPTH {
            return self.fail(format!("more than {MAX_DEPTH} parentheses and `not` inside each other"));
        }
        self.depth += 1;
        let filter = if self.take_word("not") {
            Filter::Not(Box::new(self.not()?))
        } else if self.take(&Token::Open) {
            let filter = self.or()?;
            if !self.take(&Token::Close) {
                return self.fail(format!("expected `and`, `or` or `)`, not {}", self.found()));
            }
            filter
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn test(&mut self) -> Parsed<Filter> {
        let field = self.field()?;
        if let Type::Flag = field.kind() {
            return Ok(Filter::Test(field, FieldTest::Set));
        }
        let mut negated = self.take_word("not");
        let test = if self.take_word("between") {
            self.between(field)?
        } else {
            let sign_at = self.next;
            let sign = match self.peek() {
                Some(&Token::Sign(sign)) => sign,
                Some(Token::Word(word)) if word.eq_ignore_ascii_case("in") => "in",
                _ => "",
            };
            self.next += usize::from(!sign.is_empty());
            negated ^= sign == "!=";
            match sign {
                "<" | "<=" | ">" | ">=" => self.compare(field, sign, sign_at)?,
                _ => self.list(field)?,
            }
        };
        let test = Filter::Test(field, test);
        Ok(if negated { Filter::Not(Box::new(test)) } else { test })
    }

    fn field(&mut self) -> Parsed<Field> {
        let known = || field::list(self.fields);
        let Some(Token::Word(word)) = self.peek() else {
            return self.fail(format!("expected a field, not {}: there are {}", self.found(), known()));
        };
        match Field::from_name(word).filter(|field| self.fields.contains(field)) {
            Some(field) => {
                self.next += 1;
                Ok(field)
            }
            None if is_keyword(word) => self.fail(format!("expected a field, not {}", self.found())),
            None => self.fail(format!("there is no field {} here: there are {}", self.found(), known())),
        }
    }

    /// Reads a comparison, such as `port < 1024`.
    fn compare(&mut self, field: Field, sign: &str, sign_at: usize) -> Parsed<FieldTest> {
        let value_at = self.next;
        let empty = |parser: &mut Self| {
            parser.next = value_at;
            parser.fail(format!("nothing is {sign} {}", parser.found()))
        };
        match field.kind() {
            Type::Number(most) => {
                let value = self.number(field, most)?;
                let range = match sign {
                    "<" => value.checked_sub(1).map(|to| 0..=to),
                    "<=" => Some(0..=value),
                    ">" => value.checked_add(1).filter(|&from| from <= most).map(|from| from..=most),
                    _ => Some(value..=most),
                };
                match range {
                    Some(range) => Ok(FieldTest::Numbers(vec![range])),
                    None => empty(self),
                }
            }
            Type::Time => {
                let Time(value) = self.time()?;
                let range = bounds(sign, value, i64::MIN);
                Ok(FieldTest::Times(Time(*range.start())..=Time(*range.end())))
            }
            Type::Span => {
                let Span(value) = self.span()?;
                if sign == "<" && value == 0 {
                    return empty(self);
                }
                let range = bounds(sign, value, 0);
                Ok(FieldTest::Spans(Span(*range.start())..=Span(*range.end())))
            }
            _ => {
                self.next = sign_at;
                self.fail(format!("{} has no order: use `in`, `=` or `!=`", field.as_str()))
            }
        }
    }

    fn between(&mut self, field: Field) -> Parsed<FieldTest> {
        let begin = self.next;
        let test = match field.kind() {
            Type::Number(most) => {
                let from = self.number(field, most)?;
                self.expect_and()?;
                FieldTest::Numbers(vec![from..=self.number(field, most)?])
            }
            Type::Time => {
                let from = self.time()?;
                self.expect_and()?;
                FieldTest::Times(from..=self.time()?)
            }
            Type::Span => {
                let from = self.span()?;
                self.expect_and()?;
                FieldTest::Spans(from..=self.span()?)
            }
            _ => {
                self.next = begin - 1;
                return self.fail(format!("{} has no order: use `in`, `=` or `!=`", field.as_str()));
            }
        };
        let is_empty = match &test {
            FieldTest::Numbers(ranges) => ranges[0].is_empty(),
            FieldTest::Times(range) => range.is_empty(),
            FieldTest::Spans(range) => range.is_empty(),
            _ => false,
        };
        if is_empty {
            self.next = begin;
            return self.fail("nothing is between these: swap them");
        }
        Ok(test)
    }

    fn expect_and(&mut self) -> Parsed<()> {
        if self.take_word("and") { Ok(()) } else { self.fail(format!("expected `and`, not {}", self.found())) }
    }

    /// Reads a list of values, with or without parentheses.
    fn list(&mut self, field: Field) -> Parsed<FieldTest> {
        let open = self.take(&Token::Open);
        let test = match field.kind() {
            Type::Address => FieldTest::In(self.values(Self::net)?),
            Type::Number(most) => FieldTest::Numbers(self.values(|parser| parser.range(field, most))?),
            Type::Word(read, wanted) => {
                FieldTest::Words(self.values(|parser| parser.value(read, &format!("expected {wanted}")))?)
            }
            Type::Text => FieldTest::Texts(self.values(Self::any_text)?),
            Type::Time | Type::Span => {
                return self.fail(format!("{} wants <, <=, >, >= or `between`, then a value", field.as_str()));
            }
            Type::Flag => FieldTest::Set,
        };
        if open && !self.take(&Token::Close) {
            return self.fail(format!("expected `,` or `)`, not {}", self.found()));
        }
        Ok(test)
    }

    fn values<T>(&mut self, mut value: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut values = vec![value(self)?];
        while self.take(&Token::Comma) {
            values.push(value(self)?);
        }
        Ok(values)
    }

    fn net(&mut self) -> Parsed<Ipv6Net> {
        let read = |word: &str| {
            let address = word.parse().map(|address: std::net::Ipv6Addr| Ipv6Net::from(address));
            address.or_else(|_| word.parse()).ok().map(|net| net.trunc())
        };
        self.value(read, "expected an IPv6 address or a prefix as 2a00::/32")
    }

    /// Reads a number or a range: `22` or `8000-8100`.
    fn range(&mut self, field: Field, most: u64) -> Parsed<RangeInclusive<u64>> {
        let read = |word: &str| {
            let (from, to) = word.split_once('-').unwrap_or((word, word));
            let range = whole(from, most)?..=whole(to, most)?;
            (!range.is_empty()).then_some(range)
        };
        self.value(read, &format!("{}, or a range as 1-9", numbers(field, most)))
    }

    fn number(&mut self, field: Field, most: u64) -> Parsed<u64> {
        self.value(|word| whole(word, most), &numbers(field, most))
    }

    /// Reads a time. A date and a time of day may be quoted together; `ago` may follow.
    fn time(&mut self) -> Parsed<Time> {
        let now = self.now;
        let wanted = "expected a time as 2026-09-01, 2026-09-01T12:00:00Z, 2h or 3d";
        let time = if let Some(Token::Text(text)) = self.peek() {
            let read = when::time(text, now);
            match read {
                Ok(time) => {
                    self.next += 1;
                    Ok(time)
                }
                Err(_) => self.fail(format!("{wanted}, not {}", self.found())),
            }
        } else {
            self.value(|word| when::time(word, now).ok(), wanted)
        }?;
        self.take_word("ago");
        Ok(time)
    }

    fn span(&mut self) -> Parsed<Span> {
        self.value(|word| when::span(word).ok(), "expected a span as 90s, 15m, 2h, 3d or 1w")
    }

    fn any_text(&mut self) -> Parsed<String> {
        if let Some(Token::Text(text)) = self.peek() {
            let text = text.clone();
            self.next += 1;
            return Ok(text);
        }
        self.value(|word| Some(word.to_owned()), "expected a text")
    }

    /// Reads a word as a value. A keyword can be a value only in quotes.
    fn value<T>(&mut self, read: impl FnOnce(&str) -> Option<T>, wanted: &str) -> Parsed<T> {
        let value = match self.peek() {
            Some(Token::Word(word)) if !is_keyword(word) => read(word),
            _ => None,
        };
        match value {
            Some(value) => {
                self.next += 1;
                Ok(value)
            }
            None => self.fail(format!("{wanted}, not {}", self.found())),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn take(&mut self, token: &Token) -> bool {
        let is = self.peek() == Some(token);
        self.next += usize::from(is);
        is
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.next += usize::from(is);
        is
    }

    /// The next token, shortened for an error message.
    fn found(&self) -> String {
        let shorten = |text: &str| match text.char_indices().nth(40) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text.to_owned(),
        };
        match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Word(word)) => format!("`{}`", shorten(word)),
            Some(Token::Text(text)) => format!("{:?}", shorten(text)),
            Some(Token::Open) => "`(`".to_owned(),
            Some(Token::Close) => "`)`".to_owned(),
            Some(Token::Comma) => "`,`".to_owned(),
            Some(Token::Sign(sign)) => format!("`{sign}`"),
        }
    }

    /// Returns an error at the position of the next token.
    fn fail<T>(&self, message: impl Into<String>) -> Parsed<T> {
        let at = self.tokens.get(self.next).map_or(self.text.trim_end().len(), |(at, _)| *at);
        Err(FilterError { text: self.text.to_owned(), at, message: message.into() })
    }
}

fn is_keyword(word: &str) -> bool {
    ["and", "or", "not", "in", "between"].iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

fn one_or(mut filters: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    if filters.len() == 1 { filters.remove(0) } else { many(filters) }
}

/// Reads a number of digits only: no sign, no space.
fn whole(text: &str, most: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| digits && number <= most)
}

fn numbers(field: Field, most: u64) -> String {
    match most {
        u64::MAX => format!("expected a number for {}", field.as_str()),
        most => format!("expected a number from 0 to {most} for {}", field.as_str()),
    }
}

fn bounds(sign: &str, value: i64, least: i64) -> RangeInclusive<i64> {
    match sign {
        "<" => least..=value.saturating_sub(1),
        "<=" => least..=value,
        ">" => value.saturating_add(1)..=i64::MAX,
        _ => value..=i64::MAX,
    }
}
