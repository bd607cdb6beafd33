//! The loop, and everything that it does with events and with news of the network.
//!
//! - [`sensor`]: the loop
//! - [`ring`]: from the ring of events to the store; [`event`]: an event becomes an observation; [`programs`]: what the
//!   loop needs of the kernel programs
//! - [`backlog`]: what waits for the ledger
//! - [`uplinks`], [`home`], [`devices`], [`remotes`]: which interfaces are watched, what is home, which device a local
//!   belongs to, which remotes count
//! - [`excluded`]: deletes what was recorded of excluded devices
//! - [`restore`], [`takeover`]: what an earlier run left in the store, and in the kernel
//! - [`rebuild`]: the ledger after the clock was set

mod backlog;
mod devices;
mod event;
mod excluded;
mod home;
mod programs;
mod rebuild;
mod remotes;
mod restore;
mod ring;
mod sensor;
mod takeover;
mod uplinks;

#[cfg(test)]
pub use programs::Programs;
pub use restore::{Restored, restore};
pub use sensor::Sensor;
pub use takeover::Takeover;
pub use uplinks::Uplinks;
