//! How large a simulated home is.

/// Devices and days; each device uses one temporary address a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Devices.
    pub devices: usize,
    /// Days watched.
    pub days: usize,
    /// Sites that the household's people may visit.
    pub sites: usize,
    /// /64s of the home.
    pub networks: usize,
}

impl Size {
    /// 50 addresses: the small home where most users live.
    pub const SMALL: Size = Size { devices: 5, days: 10, sites: 400, networks: 1 };
    /// 300 addresses.
    pub const MEDIUM: Size = Size { devices: 15, days: 20, sites: 1_200, networks: 2 };
    /// 1,500 addresses: a small office.
    pub const LARGE: Size = Size { devices: 50, days: 30, sites: 4_000, networks: 4 };
    /// All of them.
    pub const ALL: [Size; 3] = [Size::SMALL, Size::MEDIUM, Size::LARGE];

    /// Temporary addresses.
    #[must_use]
    pub const fn addresses(self) -> usize {
        self.devices * self.days
    }

    /// The size with so many addresses.
    #[must_use]
    pub fn of(addresses: usize) -> Option<Size> {
        Size::ALL.into_iter().find(|size| size.addresses() == addresses)
    }
}
