//! Device names that do not reveal the hardware addresses of the devices.

use rusqlite::{Connection, OptionalExtension};

use super::{Store, WriteError};

const NAME: &str = "device-key";

/// The secret key of one store, which turns hardware addresses into names. Without the key, nobody can find the
/// hardware address that belongs to a name, not even by trying all addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceKey([u8; 32]);

impl DeviceKey {
    /// Creates the key from the bytes in an export.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> DeviceKey {
        DeviceKey(bytes)
    }

    /// The bytes of the secret key. With the key, the hardware address that belongs to a name can be found by trying
    /// all addresses.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of the device with this hardware address: `dev-` and the first 8 hexadecimal digits of the keyed BLAKE3
    /// hash of the address.
    #[must_use]
    pub fn id(&self, mac: [u8; 6]) -> String {
        let hash = blake3::keyed_hash(&self.0, &mac);
        let start = u32::from_be_bytes([0, 1, 2, 3].map(|i| hash.as_bytes()[i]));
        format!("dev-{start:08x}")
    }

    /// [`DeviceKey::id`], or the hardware address itself if the configuration keeps hardware addresses.
    #[must_use]
    pub fn name(&self, mac: [u8; 6], keep_mac: bool) -> String {
        if keep_mac { mac.map(|byte| format!("{byte:02x}")).join(":") } else { self.id(mac) }
    }
}

/// Prints no part of the secret key.
impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceKey(..)")
    }
}

impl Store {
    /// The key of this store. The first call creates the key from the system's random numbers.
    pub fn device_key(&mut self) -> Result<DeviceKey, WriteError> {
        let write_error = |error| WriteError::new(&self.path, error);
        if let Some(key) = read(&self.connection).map_err(write_error)? {
            self.kept.key = Some(key.clone());
            return Ok(key);
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| write_error(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))?;
        let key = DeviceKey(bytes);
        write(&self.connection, &key).map_err(write_error)?;
        self.kept.key = Some(key.clone());
        Ok(key)
    }
}

/// Reads the key. Returns `None` if the store has no key yet.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<DeviceKey>> {
    let bytes = connection.query_row("SELECT value FROM meta WHERE key = ?1", [NAME], |row| row.get(0)).optional()?;
    Ok(bytes.map(DeviceKey))
}

/// Sets the key.
pub(super) fn write(connection: &Connection, key: &DeviceKey) -> rusqlite::Result<()> {
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", (NAME, key.0))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_keeps_its_name_in_one_store_only() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mac = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
        let key = |dir: &tempfile::TempDir| Store::open(dir.path()).unwrap().device_key().unwrap();
        let name = key(&dirs[0]).id(mac);
        assert_eq!(key(&dirs[0]).id(mac), name, "also after a restart");
        assert_ne!(key(&dirs[0]).id([0x52, 0x54, 0, 0x12, 0x34, 0x57]), name);
        assert_ne!(key(&dirs[1]).id(mac), name);
        assert!(name.len() == 12 && name.starts_with("dev-"), "{name}");
        assert_eq!(key(&dirs[0]).name(mac, false), name);
        assert_eq!(key(&dirs[0]).name(mac, true), "52:54:00:12:34:56");
    }

    #[test]
    fn a_name_is_the_keyed_hash_and_the_key_is_not_printed() {
        // Python: blake3.blake3(bytes(6), key=bytes([7] * 32)).hexdigest(length=4)
        assert_eq!(DeviceKey::from_bytes([7; 32]).id([0; 6]), "dev-de32ab58");
        assert_eq!(format!("{:?}", DeviceKey::from_bytes([7; 32])), "DeviceKey(..)");
    }
}
