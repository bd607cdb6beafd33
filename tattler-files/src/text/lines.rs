//! The lines of an input, without copying them.

use std::io::{self, Read};

/// The longest line that is read, in bytes. Suricata writes lines of a few kilobytes.
pub const LONGEST: usize = 1 << 16;
/// Number of bytes requested by a read.
const CHUNK: usize = 1 << 18;

/// A line, without its newline.
pub struct RawLine<'a> {
    /// The bytes of the line; `None` if the line is longer than [`LONGEST`].
    pub bytes: Option<&'a [u8]>,
    /// Whether a newline follows. Otherwise the input ends here: the line is cut short or still being written.
    pub is_ended: bool,
}

/// Splits an input into lines.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<R: Read> Lines<R> {
    /// Starts at the first byte of `reader`.
    pub fn new(reader: R) -> Self {
        Lines { reader, buffer: vec![0; CHUNK + LONGEST + 1], start: 0, end: 0 }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// Reading failed. The part of the line that was already read is lost.
    #[expect(clippy::should_implement_trait, reason = "a line borrows its bytes, so this is no iterator")]
    pub fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        let mut searched = 0;
        let mut is_too_long = false;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.start + searched..self.end]) {
                let (start, end) = (self.start, self.start + searched + at);
                self.start = end + 1;
                let bytes = (!is_too_long && end - start <= LONGEST).then(|| &self.buffer[start..end]);
                return Ok(Some(RawLine { bytes, is_ended: true }));
            }
            searched = self.end - self.start;
            if searched > LONGEST {
                is_too_long = true;
                (self.start, self.end, searched) = (0, 0, 0);
            }
            if self.fill()? == 0 {
                let (start, end) = (self.start, self.end);
                self.start = end;
                let bytes = (!is_too_long).then(|| &self.buffer[start..end]);
                return Ok((is_too_long || start < end).then_some(RawLine { bytes, is_ended: false }));
            }
        }
    }

    /// Reads more bytes after the unread bytes. Moves the unread bytes to the front if there is little room.
    fn fill(&mut self) -> io::Result<usize> {
        if self.buffer.len() - self.end < CHUNK {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that returns a few bytes for each read.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn lengths(text: &[u8], step: usize) -> Vec<(Option<usize>, bool)> {
        let mut lines = Lines::new(Slow(text, step));
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push((line.bytes.map(<[u8]>::len), line.is_ended));
        }
        found
    }

    #[test]
    fn lines_are_whole_for_reads_of_any_size() {
        let text = [&b"one\n\n"[..], &[b'x'; LONGEST], b"\n", &[b'y'; LONGEST + 1], b"\nlast"].concat();
        let expected = [(Some(3), true), (Some(0), true), (Some(LONGEST), true), (None, true), (Some(4), false)];
        for step in [7, 1_000, usize::MAX] {
            assert_eq!(lengths(&text, step), expected, "{step} bytes at a time");
        }
        assert_eq!(lengths(&[b'x'; 3 * CHUNK], usize::MAX), [(None, false)]);
        assert_eq!(lengths(b"", 1), []);
    }
}
