//! Validation of text and numbers.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use ipnet::Ipv6Net;
use sensor_common::Proto;
use sensor_common::rules::is_global;
use serde::{Serialize, Serializer};
use tattler_core::exclusions::Port;
use toml::de::DeValue;

use super::Attach;
use super::reader::kind;

/// Length of the shortest prefix that IANA allocates to a registry.
const SHORTEST: u8 = 12;
/// Length of the longest name in characters: a name must fit into a column of a table.
const NAME_CHARS: usize = 40;

/// The link-layer address of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Reads six hexadecimal bytes separated by colons or hyphens.
impl FromStr for Mac {
    type Err = String;
    fn from_str(text: &str) -> Result<Mac, String> {
        let wrong = || format!("`{text}` is no MAC address as 00:53:00:12:34:56");
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
            *byte = part.and_then(|p| u8::from_str_radix(p, 16).ok()).ok_or_else(wrong)?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Mac(bytes)) }
    }
}

/// A reference to a device in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceId {
    /// The device's MAC address.
    Mac(Mac),
    /// The identifier that `tattler locals` shows for the device.
    Id(String),
}

impl DeviceId {
    /// The device's identifier in observations; `name` converts a MAC address to an identifier.
    pub fn known_as(&self, name: impl Fn([u8; 6]) -> String) -> String {
        match self {
            DeviceId::Mac(mac) => name(mac.0),
            DeviceId::Id(id) => id.clone(),
        }
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceId::Mac(mac) => mac.fmt(f),
            DeviceId::Id(id) => id.fmt(f),
        }
    }
}

impl FromStr for DeviceId {
    type Err = String;
    fn from_str(text: &str) -> Result<DeviceId, String> {
        if text.contains(':') || text.matches('-').count() == 5 {
            return text.parse().map(DeviceId::Mac);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || text.len() > NAME_CHARS || !text.chars().all(plain) {
            return Err(format!("`{text}` is neither a MAC address as 00:53:00:12:34:56 nor the id of a device"));
        }
        Ok(DeviceId::Id(text.to_owned()))
    }
}

impl Serialize for DeviceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Writes ports in the form that the files use: `443`, or `"tcp/443"`.
pub(super) fn write_ports<S: Serializer>(ports: &[Port], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Written {
        Number(u16),
        Text(String),
    }
    serializer.collect_seq(ports.iter().map(|port| match port.proto {
        None => Written::Number(port.number),
        Some(proto) => Written::Text(format!("{}/{}", proto.as_str(), port.number)),
    }))
}

/// Reads a home prefix.
///
/// # Errors
/// One line that says what is wrong.
pub fn home_prefix(text: &str) -> Result<Ipv6Net, String> {
    let prefix: Ipv6Net = text.parse().map_err(|_| "no prefix as 2001:db8::/48".to_owned())?;
    if !is_global(&prefix.addr().octets()) {
        return Err("not in 2000::/3, and only global unicast addresses can be home".into());
    }
    if prefix.prefix_len() < SHORTEST {
        return Err(format!("shorter than /{SHORTEST}, which nobody has for a home"));
    }
    Ok(prefix.trunc())
}

/// Reads an address or a prefix.
///
/// # Errors
/// One line that says what is wrong.
pub fn remote(text: &str) -> Result<Ipv6Net, String> {
    let address = text.parse::<Ipv6Addr>().map(Ipv6Net::from);
    let prefix = address.or_else(|_| text.parse::<Ipv6Net>());
    prefix.map(|prefix| prefix.trunc()).map_err(|_| "no address or prefix as 2001:db8::53 or 2001:db8::/32".into())
}

/// Reads the mode in which the ingress program is attached.
///
/// # Errors
/// One line that says what is expected.
pub fn attach(text: &str) -> Result<Attach, String> {
    match text {
        "auto" => Ok(Attach::Auto),
        "native" => Ok(Attach::Native),
        "generic" => Ok(Attach::Generic),
        "tc" => Ok(Attach::Tc),
        _ => Err("expected auto, native, generic or tc".into()),
    }
}

/// Reads the address to listen on. The empty text means no listener.
///
/// # Errors
/// One line that says what is expected.
pub fn listen(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| "expected an address and a port, as [::1]:9646".into())
}

pub(super) fn write_listen<S: Serializer>(listen: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
    match listen {
        Some(address) => serializer.collect_str(address),
        None => serializer.serialize_str(""),
    }
}

/// Returns a function that reads a text value with `parse`.
pub(super) fn text<T>(
    parse: impl Fn(&str) -> Result<T, String>,
    example: &'static str,
) -> impl Fn(&DeValue<'_>) -> Result<T, String> {
    move |value| match value {
        DeValue::String(text) => parse(text).map_err(|what| with_value(text, &what)),
        other => Err(format!("expected text as \"{example}\", found {}", kind(other))),
    }
}

/// Adds the value to the message unless the message contains it.
fn with_value(text: &str, what: &str) -> String {
    if what.contains(&format!("`{text}`")) { what.to_owned() } else { format!("`{text}`: {what}") }
}

pub(super) fn number(range: RangeInclusive<u32>) -> impl Fn(&DeValue<'_>) -> Result<u32, String> {
    move |value| {
        let expected = format!("expected a whole number from {} to {}", range.start(), range.end());
        match value {
            DeValue::Integer(integer) => {
                // The parser keeps the digits as text, without separators.
                let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
                number.filter(|n| range.contains(n)).ok_or_else(|| format!("{expected}, found {}", integer.as_str()))
            }
            other => Err(format!("{expected}, found {}", kind(other))),
        }
    }
}

pub(super) fn truth(value: &DeValue<'_>) -> Result<bool, String> {
    match value {
        DeValue::Boolean(truth) => Ok(*truth),
        other => Err(format!("expected true or false, found {}", kind(other))),
    }
}

/// The name of an interface, by the kernel's rules (dev_valid_name).
pub(super) fn interface(text: &str) -> Result<String, String> {
    let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if text.is_empty() || text.len() > 15 || text == "." || text == ".." || text.contains(bad) {
        return Err("no name of an interface, as wan0; `ip link` lists them".into());
    }
    Ok(text.to_owned())
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("expected a path that begins with /".into()) }
}

/// The path of a Unix socket: sun_path holds 107 bytes, and the socket is created under a longer name first.
pub(super) fn socket(text: &str) -> Result<PathBuf, String> {
    if text.len() > 95 { Err("longer than the 95 bytes that a socket's path can have".into()) } else { path(text) }
}

pub(super) fn port(value: &DeValue<'_>) -> Result<Port, String> {
    const EXPECTED: &str = "expected a port as 443, \"tcp/443\" or \"udp/443\"";
    let number = |text: &str| text.parse().ok().filter(|&n| n > 0).ok_or_else(|| format!("{EXPECTED}, found {text}"));
    match value {
        DeValue::Integer(integer) if integer.radix() == 10 => {
            Ok(Port { proto: None, number: number(integer.as_str())? })
        }
        DeValue::String(text) => match text.split_once('/') {
            Some(("tcp", n)) => Ok(Port { proto: Some(Proto::Tcp), number: number(n)? }),
            Some(("udp", n)) => Ok(Port { proto: Some(Proto::Udp), number: number(n)? }),
            Some(_) => Err(format!("{EXPECTED}, found `{text}`")),
            None => Ok(Port { proto: None, number: number(text)? }),
        },
        other => Err(format!("{EXPECTED}, found {}", kind(other))),
    }
}

pub(super) fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > NAME_CHARS || text.contains(char::is_control) {
        return Err(format!("expected a name of 1 to {NAME_CHARS} characters"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_has_colons_or_hyphens() {
        for text in ["00:53:00:ab:CD:ef", "00-53-00-AB-cd-EF"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), "00:53:00:ab:cd:ef");
        }
        for wrong in
            ["", "00:53:00:ab:cd", "00:53:00:ab:cd:ef:01", "00:53:00:ab:cd:+f", "0:53:0:ab:cd:ef", "00-53:00-ab-cd-ef"]
        {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_device_is_a_mac_or_an_identifier() {
        assert_eq!("d3f1a2".parse(), Ok(DeviceId::Id("d3f1a2".into())));
        assert!(matches!("00:53:00:00:00:01".parse(), Ok(DeviceId::Mac(_))));
        assert!("my printer".parse::<DeviceId>().is_err());
        assert!("00:53".parse::<DeviceId>().is_err());
    }

    #[test]
    fn a_home_prefix_is_global_unicast() {
        assert_eq!(home_prefix("2001:db8:1::5/48").unwrap().to_string(), "2001:db8:1::/48");
        for wrong in ["fd00::/48", "::/0", "2000::/3", "2001:db8::", "192.0.2.0/24", "2001:db8::/129"] {
            assert!(home_prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn interface_names_follow_the_kernels_rules() {
        assert_eq!(interface("eth0.7"), Ok("eth0.7".into()));
        for wrong in ["", "..", "eth0:1", "a/b", "sixteen-letters-", "wan 0"] {
            assert!(interface(wrong).is_err(), "{wrong}");
        }
    }
}
