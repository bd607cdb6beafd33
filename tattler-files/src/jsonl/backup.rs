//! The lines of a backup without an observation.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tattler_core::ack::{Ack, LONGEST_NOTE};

use super::line::{JsonLine, text};
use super::value::Value;
use super::write::{Micros, optional};

/// An entry of a backup other than an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupEntry {
    /// A remote that the user acknowledged.
    Ack(Ack),
    /// The secret key that turns hardware addresses into names of devices.
    DeviceKey([u8; 32]),
}

pub(super) fn ack(line: JsonLine<'_>) -> Result<BackupEntry, String> {
    let remote = line.remote.name("remote", "an IPv6 address or a prefix", |text| {
        let address = text.parse().map(|address: Ipv6Addr| Ipv6Net::from(address));
        address.or_else(|_| text.parse::<Ipv6Net>()).ok()
    })?;
    let note = text("note", line.note)?;
    if note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
        return Err(format!("note is longer than {LONGEST_NOTE} bytes"));
    }
    let until = line.until.optional(|value| value.time("until"))?;
    Ok(BackupEntry::Ack(Ack { remote: remote.trunc(), at: line.at.time("at")?, until, note }))
}

pub(super) fn device_key(line: &JsonLine<'_>) -> Result<BackupEntry, String> {
    let Value::Text(text) = &line.key else {
        return line.key.name("key", "64 hexadecimal digits", |_| None);
    };
    // The message must not quote a secret.
    key(text).map(BackupEntry::DeviceKey).ok_or_else(|| "key is not 64 hexadecimal digits".into())
}

fn key(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (i, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(key)
}

impl BackupEntry {
    /// The entry as a line of JSON, without a newline.
    #[must_use]
    pub fn to_json_line(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

impl Serialize for BackupEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            BackupEntry::Ack(ack) => {
                map.serialize_entry("type", "ack")?;
                map.serialize_entry("remote", &ack.remote)?;
                map.serialize_entry("at", &Micros(ack.at))?;
                optional(&mut map, "until", ack.until.map(Micros))?;
                optional(&mut map, "note", ack.note.as_deref())?;
            }
            BackupEntry::DeviceKey(key) => {
                let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
                map.serialize_entry("type", "device-key")?;
                map.serialize_entry("key", &key)?;
            }
        }
        map.end()
    }
}
