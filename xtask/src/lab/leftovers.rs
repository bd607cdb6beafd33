//! Removes namespaces and directories that a killed lab left. The next lab calls this at its start. Names contain the
//! process id of their lab. The child processes of that lab ended with it (`process::Daemon`).

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::netns;

const STEM: &str = "tattler-lab-";

/// Prefix of the names that this lab uses.
pub fn prefix() -> String {
    format!("{STEM}{}-", std::process::id())
}

/// Deletes the namespaces and directories of labs whose process has ended.
pub fn clean() {
    let orphans: Vec<String> = names_in(netns::NAMES).filter(|name| is_orphan(name)).collect();
    if !orphans.is_empty() {
        eprintln!("lab: deleting {} namespaces of a lab that was killed", orphans.len());
    }
    orphans.iter().for_each(|name| netns::delete(name));
    let temporary = std::env::temp_dir();
    for name in names_in(&temporary.display().to_string()).filter(|name| is_orphan(name)) {
        let dir = temporary.join(name);
        // Only directories that root owns: any user can make a directory with such a name here.
        let is_ours = fs::symlink_metadata(&dir).is_ok_and(|dir| dir.is_dir() && dir.uid() == 0);
        if is_ours && let Err(error) = fs::remove_dir_all(&dir) {
            eprintln!("warning: {} was not removed: {error}", dir.display());
        }
    }
}

fn names_in(dir: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn is_orphan(name: &str) -> bool {
    let Some(id) = owner(name) else { return false };
    // If another program has this process id, the lab has ended and the kernel used the id again.
    let command = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    command.trim() != "xtask"
}

fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(STEM)?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{is_orphan, owner};

    #[test]
    fn a_name_shows_whether_its_lab_runs() {
        assert_eq!(owner("tattler-lab-4711-router"), Some(4711));
        assert_eq!(owner("tattler-lab-router"), None);
        assert!(!is_orphan("somebody-else"));
        assert!(is_orphan("tattler-lab-4294967295-router"));
    }
}
