//! What the simulator promises.
