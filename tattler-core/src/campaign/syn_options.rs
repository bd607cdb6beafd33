//! The type of program that made a SYN, by its TCP options. Each kind of log writes options in its
//! own form.

/// The type of program that made a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SynOptions {
    /// No options, or only the segment size: a scanner that makes its packets itself.
    Bare,
    /// Window scale and selective acknowledgements: a kernel.
    Kernel,
    /// Any other options.
    Odd,
}

/// Numbers of option kinds, assigned by IANA.
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;

impl SynOptions {
    /// Reads option names (`mss,sackOK,ts,nop,ws`), option kinds as numbers (`2-4-8-1-3`), or bytes
    /// in hexadecimal.
    pub(super) fn read(text: &str) -> SynOptions {
        let text = text.trim().to_ascii_lowercase();
        let words: Vec<&str> =
            text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let numbers: Option<Vec<u8>> = words.iter().map(|word| word.parse().ok()).collect();
        let kinds = match (numbers, text.strip_prefix("0x").unwrap_or(&text)) {
            (Some(kinds), _) => kinds,
            (None, hex) if hex.len() >= 8 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => kinds_of_bytes(hex),
            _ => words.iter().filter_map(|word| kind_of_name(word)).collect(),
        };
        let has = |kind| kinds.contains(&kind);
        if has(WINDOW_SCALE) && has(SACK_PERMITTED) {
            SynOptions::Kernel
        } else if kinds.iter().all(|&kind| kind <= MSS) {
            SynOptions::Bare
        } else {
            SynOptions::Odd
        }
    }
}

/// The kind of the option with a name; `None` if the word is the value of an option, as in
/// `mss=1440`.
fn kind_of_name(word: &str) -> Option<u8> {
    match word {
        "eol" | "none" => Some(0),
        "nop" => Some(1),
        "ws" | "wscale" | "windowscale" | "window" => Some(WINDOW_SCALE),
        "sok" | "sack" | "sackok" | "sackpermitted" => Some(SACK_PERMITTED),
        "ts" | "timestamp" | "timestamps" => Some(8),
        word if word.starts_with("mss") => Some(MSS),
        word if word.bytes().all(|b| b.is_ascii_digit()) => None,
        _ => Some(u8::MAX),
    }
}

fn kinds_of_bytes(hex: &str) -> Vec<u8> {
    let bytes: Vec<u8> = hex
        .as_bytes()
        .chunks_exact(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let (mut kinds, mut at) = (Vec::new(), 0);
    while let Some(&kind) = bytes.get(at) {
        kinds.push(kind);
        at += match kind {
            0 | 1 => 1,
            _ => usize::from(bytes.get(at + 1).copied().unwrap_or(0)).max(2),
        };
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_and_scanners_are_recognized_in_every_form() {
        for kernel in [
            "mss,sackOK,ts,nop,ws",
            "MSS=1440 SACK TS=1,0 NOP WS=7",
            "2-4-8-1-3",
            "020405a00402080a00000000000000000103030a",
        ] {
            assert_eq!(SynOptions::read(kernel), SynOptions::Kernel, "{kernel}");
        }
        for bare in ["", "mss", "mss=1440", "2", "020405a0", "none"] {
            assert_eq!(SynOptions::read(bare), SynOptions::Bare, "{bare}");
        }
        for odd in ["ts", "mss,ts", "8", "\u{fffd}!x"] {
            assert_eq!(SynOptions::read(odd), SynOptions::Odd, "{odd}");
        }
    }
}
