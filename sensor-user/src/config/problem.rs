//! A problem of the configuration and its location.

use std::fmt;
use std::path::PathBuf;

/// A location in a file. Lines and columns count from 1. A column is a character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLocation {
    /// The file.
    pub file: PathBuf,
    /// Line and column; `None`: the whole file.
    pub line: Option<(usize, usize)>,
}

impl FileLocation {
    /// The location of a byte offset in a file's text.
    pub(super) fn at(file: PathBuf, text: &str, offset: usize) -> FileLocation {
        // The parser's spans begin at character boundaries; any other offset counts as the end of the file.
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        FileLocation { file, line: Some((line, column)) }
    }
}

impl fmt::Display for FileLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.line {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// A problem of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The location of the problem.
    pub location: FileLocation,
    /// The fault, and the expected value.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.what)
    }
}
