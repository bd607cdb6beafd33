//! Zstandard: one or more frames in sequence, as `zstd` and `cat` write them.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Whether a stream begins with a frame or a skippable frame (RFC 8878, 3.1).
pub(super) fn is_magic(head: &[u8]) -> bool {
    matches!(head, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Decompresses `source`. The decoder refuses windows above 100 MiB, which bounds memory.
pub(super) struct ZstdDecoder<R> {
    source: R,
    frame: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> ZstdDecoder<R> {
    pub(super) fn new(source: R) -> Self {
        ZstdDecoder { source, frame: FrameDecoder::new(), in_frame: false }
    }

    /// Begins the next frame. Returns `false` at the end.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.frame.init(&mut self.source) {
                Ok(()) => {
                    self.in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(self.error(error)),
            }
        }
        Ok(false)
    }

    /// The error of a frame. If the source ends here, the frame is cut short.
    fn error(&mut self, error: FrameDecoderError) -> io::Error {
        match self.source.fill_buf() {
            Ok([]) => io::ErrorKind::UnexpectedEof.into(),
            Ok(_) => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
            Err(error) => error,
        }
    }
}

impl<R: BufRead> Read for ZstdDecoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() && (self.in_frame || self.begin()?) {
            while self.frame.can_collect() < buffer.len() && !self.frame.is_finished() {
                let missing = buffer.len() - self.frame.can_collect();
                if let Err(error) =
                    self.frame.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBytes(missing))
                {
                    return Err(self.error(error));
                }
            }
            let read = self.frame.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            self.in_frame = false;
            if let Some(sum) = self.frame.get_checksum_from_data()
                && Some(sum) != self.frame.get_calculated_checksum()
            {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "checksum does not match"));
            }
        }
        Ok(0)
    }
}
