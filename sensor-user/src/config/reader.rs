//! A table that remembers the keys that were read: all other keys are unknown. Problems are collected with their
//! location.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{FileLocation, Problem};

/// The largest edit distance that counts as a typing error, in letters. For a short key: a third of the key's length.
const SLIP: usize = 2;

/// The problems found so far in the file that is being read.
pub(super) struct FileProblems<'a> {
    pub file: &'a Path,
    pub text: &'a str,
    pub problems: Vec<Problem>,
}

impl FileProblems<'_> {
    pub fn add(&mut self, span: Range<usize>, what: String) {
        let location = FileLocation::at(self.file.to_owned(), self.text, span.start);
        self.problems.push(Problem { location, what });
    }

    pub fn location(&self, span: &Range<usize>) -> FileLocation {
        FileLocation::at(self.file.to_owned(), self.text, span.start)
    }
}

/// A table of a file.
pub(super) struct Section<'t, 'i> {
    /// The full name, with dots; empty for the file itself.
    name: &'static str,
    /// The table; `None` if the file has no such table.
    table: Option<&'t DeTable<'i>>,
    known: Vec<&'static str>,
}

impl<'t, 'i> Section<'t, 'i> {
    pub fn new(name: &'static str, table: Option<&'t DeTable<'i>>) -> Section<'t, 'i> {
        Section { name, table, known: Vec::new() }
    }

    /// The value of a key. Marks the key as known.
    pub fn get(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table?.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// Reads the value of a key into `target`, or reports the fault of the value. Returns the value's location.
    pub fn read<T>(
        &mut self,
        key: &'static str,
        target: &mut T,
        problems: &mut FileProblems<'_>,
        parse: impl Fn(&DeValue<'i>) -> Result<T, String>,
    ) -> Option<FileLocation> {
        let value = self.get(key)?;
        match parse(value.get_ref()) {
            Ok(parsed) => *target = parsed,
            Err(what) => problems.add(value.span(), format!("{}: {what}", self.path(key))),
        }
        Some(problems.location(&value.span()))
    }

    /// Reads a list into `target`. Reports a problem for each invalid element.
    pub fn read_list<T>(
        &mut self,
        key: &'static str,
        target: &mut Vec<T>,
        problems: &mut FileProblems<'_>,
        parse: impl Fn(&DeValue<'i>) -> Result<T, String>,
    ) {
        let Some(value) = self.get(key) else { return };
        let DeValue::Array(elements) = value.get_ref() else {
            let what = format!("{}: expected a list in brackets, found {}", self.path(key), kind(value.get_ref()));
            return problems.add(value.span(), what);
        };
        target.clear();
        for element in elements.iter() {
            match parse(element.get_ref()) {
                Ok(parsed) => target.push(parsed),
                Err(what) => problems.add(element.span(), format!("{}: {what}", self.path(key))),
            }
        }
    }

    /// The table of a key; an empty table if the key is missing.
    pub fn section(
        &mut self,
        key: &'static str,
        name: &'static str,
        problems: &mut FileProblems<'_>,
    ) -> Section<'t, 'i> {
        let value = self.get(key);
        let table = value.and_then(|value| match value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                problems.add(value.span(), format!("{name}: expected a section [{name}], found {}", kind(other)));
                None
            }
        });
        Section::new(name, table)
    }

    /// All keys with their values.
    pub fn entries(&self) -> impl Iterator<Item = (&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>)> {
        self.table.into_iter().flat_map(DeTable::iter)
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// Reports keys that no section reads, with the key or the section that was probably meant.
pub(super) fn report_unknown_keys(sections: &[Section<'_, '_>], problems: &mut FileProblems<'_>) {
    for section in sections {
        for (key, _) in section.entries().filter(|(key, _)| !section.known.contains(&&**key.get_ref())) {
            let name: &str = key.get_ref();
            let other = sections.iter().find(|other| !other.name.is_empty() && other.known.contains(&name));
            let hint = match (nearest(name, &section.known), other) {
                (Some(right), _) => format!("did you mean {right}?"),
                (None, Some(other)) => format!("it belongs to [{}]", other.name),
                (None, None) => format!("known here: {}", section.known.join(", ")),
            };
            let what = if section.name.is_empty() { "section or key" } else { "key" };
            problems.add(key.span(), format!("unknown {what} {}; {hint}", section.path(name)));
        }
    }
}

/// The known key that was probably meant.
fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let same = |text: &str| text.to_lowercase().replace('-', "_");
    let word = same(word);
    known
        .iter()
        .map(|&known| (strsim::osa_distance(&word, &same(known)), known))
        .filter(|&(distance, known)| distance <= SLIP.min(known.len().div_ceil(3)))
        .min()
        .map(|(_, known)| known)
}

/// The type of a value in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_distinguished_from_another_word() {
        let known = ["interfaces", "state", "socket", "listen"];
        assert_eq!(nearest("interface", &known), Some("interfaces"));
        assert_eq!(nearest("interafces", &known), Some("interfaces"));
        assert_eq!(nearest("Listen", &known), Some("listen"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("retention-days", &["retention_days"]), Some("retention_days"));
    }
}
