//! A table whose keys are taken one by one: what is left over is unknown, and what is wrong is told
//! with its place, all of it at once.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{FileLocation, Problem};

/// As far apart as a slip of the keyboard: two letters, or one in three of a short key.
const SLIP: usize = 2;

/// What is found while a file is read.
pub(super) struct FileProblems<'a> {
    pub file: &'a Path,
    pub text: &'a str,
    pub problems: Vec<Problem>,
}

impl FileProblems<'_> {
    pub fn add(&mut self, span: Range<usize>, what: String) {
        let place = FileLocation::at(self.file.to_owned(), self.text, span.start);
        self.problems.push(Problem { place, what });
    }

    pub fn place(&self, span: &Range<usize>) -> FileLocation {
        FileLocation::at(self.file.to_owned(), self.text, span.start)
    }
}

/// A table of the file.
pub(super) struct Section<'t, 'i> {
    /// With dots; empty for the file itself.
    name: &'static str,
    table: &'t DeTable<'i>,
    known: Vec<&'static str>,
}

impl<'t, 'i> Section<'t, 'i> {
    pub fn new(name: &'static str, table: &'t DeTable<'i>) -> Section<'t, 'i> {
        Section { name, table, known: Vec::new() }
    }

    /// The value of a key, which is known from now on.
    pub fn get(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// Puts the value of a key into `target`, or says why not.
    pub fn read<T>(
        &mut self,
        key: &'static str,
        target: &mut T,
        findings: &mut FileProblems<'_>,
        parse: impl Fn(&DeValue<'i>) -> Result<T, String>,
    ) -> Option<FileLocation> {
        let value = self.get(key)?;
        match parse(value.get_ref()) {
            Ok(parsed) => *target = parsed,
            Err(what) => findings.add(value.span(), format!("{}: {what}", self.path(key))),
        }
        Some(findings.place(&value.span()))
    }

    /// Puts a list into `target`; each element that is wrong is told by itself.
    pub fn read_list<T>(
        &mut self,
        key: &'static str,
        target: &mut Vec<T>,
        findings: &mut FileProblems<'_>,
        parse: impl Fn(&DeValue<'i>) -> Result<T, String>,
    ) {
        let Some(value) = self.get(key) else { return };
        let DeValue::Array(elements) = value.get_ref() else {
            let what = format!("{}: expected a list in brackets, found {}", self.path(key), kind(value.get_ref()));
            return findings.add(value.span(), what);
        };
        target.clear();
        for element in elements.iter() {
            match parse(element.get_ref()) {
                Ok(parsed) => target.push(parsed),
                Err(what) => findings.add(element.span(), format!("{}: {what}", self.path(key))),
            }
        }
    }

    /// The table of a key.
    pub fn section(
        &mut self,
        key: &'static str,
        name: &'static str,
        findings: &mut FileProblems<'_>,
    ) -> Option<Section<'t, 'i>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::new(name, table)),
            other => {
                findings.add(value.span(), format!("{name}: expected a section [{name}], found {}", kind(other)));
                None
            }
        }
    }

    /// All keys with their values, for tables whose keys are the user's own.
    pub fn entries(&self) -> impl Iterator<Item = (&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>)> {
        self.table.iter()
    }

    /// Says which keys nobody asked for; `elsewhere` is where they may belong.
    pub fn finish(self, findings: &mut FileProblems<'_>, elsewhere: &[(&'static str, &'static str)]) {
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let hint = match nearest(name, &self.known) {
                Some(right) => format!("did you mean {right}?"),
                None => match elsewhere.iter().find(|(known, section)| *known == name && *section != self.name) {
                    Some((_, section)) => format!("it belongs to [{section}]"),
                    None => format!("known here: {}", self.known.join(", ")),
                },
            };
            let what = if self.name.is_empty() { "section or key" } else { "key" };
            findings.add(key.span(), format!("unknown {what} {}; {hint}", self.path(name)));
        }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// The known word that was probably meant.
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

/// What a value is, in words.
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
    fn a_slip_of_the_keyboard_is_told_from_another_word() {
        let known = ["interfaces", "state", "socket", "listen"];
        assert_eq!(nearest("interface", &known), Some("interfaces"));
        assert_eq!(nearest("interafces", &known), Some("interfaces"));
        assert_eq!(nearest("Listen", &known), Some("listen"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("retention-days", &["retention_days"]), Some("retention_days"));
    }
}
