//! The loop, and everything that it does with events and with news of the network.
//!
//! - [`watch`]: the loop; [`sensor`]: everything that it owns
//! - [`ring`]: from the ring of events to the store; [`programs`]: what the loop needs of the kernel programs, and adopts
//! - [`backlog`]: what waits for the ledger
//! - [`uplinks`], [`home`], [`devices`]: which interfaces are watched, what is home, which device a local belongs to
//! - [`excluded`]: deletes what was recorded of excluded devices
//! - [`restore`]: what an earlier run left in the store
//! - [`rebuild`]: the ledger after the clock was set

mod backlog;
mod devices;
mod excluded;
mod home;
mod programs;
mod rebuild;
mod restore;
mod ring;
mod sensor;
mod uplinks;
mod watch;

#[cfg(test)]
pub use programs::KernelPrograms;
pub use programs::Takeover;
pub use restore::{Restored, restore};
pub use sensor::Sensor;
pub use uplinks::Uplinks;
pub use watch::watch;
