//! PPPoE.

/// x
pub fn session() -> String {
    panic!("not written yet")
}
/// x
pub fn frames_on_the_parent() -> String {
    panic!("not written yet")
}
