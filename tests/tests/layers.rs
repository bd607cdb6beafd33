//! The layers of docs/architecture.md: no cycle between the modules of a crate, and no forbidden dependency of a crate.
//! A module is a file or directory directly below `src/`. It uses another one where it names `crate::other`. Tests may
//! use everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::programs::Bounded;

/// The modules that each module uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())).flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The modules that a text names behind `crate::`, in braces too.
fn named(text: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        // Not `tattler_crate::`.
        let is_path = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            _ if !is_path => {}
            None => _ = names.insert(word(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut begins = true;
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => begins = true,
                        c if begins && !c.is_whitespace() => {
                            names.insert(word(&list[at..]));
                            begins = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

/// The text without comments and tests.
fn product(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.iter().any(|part| part == "tests" || part == "soak") || stem == "tests" || stem.ends_with("_tests")
}

/// The module of each item that lib.rs exports under a shorter path.
fn exports(src: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(src.join("lib.rs")).unwrap_or_default();
    let exported = text.split(';').filter_map(|item| item.split("pub use ").nth(1)?.split_once("::"));
    let names = exported.flat_map(|(module, items)| {
        let items = items.trim_matches(|c| c == '{' || c == '}').split(',');
        items.map(move |item| (item.trim().to_owned(), module.to_owned()))
    });
    names.collect()
}

fn uses(src: &Path) -> Uses {
    let exports = exports(src);
    let mut files = Vec::new();
    sources(src, &mut files);
    let mut uses = Uses::new();
    for path in files.iter().filter(|path| !is_test(path)) {
        let inside = path.strip_prefix(src).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        // So many `super::` lead to the root of the crate.
        let depth = inside.iter().count() - usize::from(inside.ends_with("mod.rs"));
        let text = product(&fs::read_to_string(path).unwrap()).replace(&"super::".repeat(depth), "crate::");
        let mut named = named(&text);
        named = named.into_iter().map(|name| exports.get(&name).cloned().unwrap_or(name)).collect();
        named.remove(&module);
        uses.entry(module).or_default().extend(named);
    }
    // Other names are items of lib.rs itself.
    let modules: BTreeSet<String> = uses.keys().cloned().collect();
    uses.values_mut().for_each(|used| used.retain(|name| modules.contains(name)));
    uses
}

/// Removes modules that use no other, repeatedly. The rest is in cycles or uses one.
fn cycles(mut uses: Uses) -> Uses {
    while let Some(free) = uses.iter().find(|(_, used)| used.is_empty()).map(|(module, _)| module.clone()) {
        uses.remove(&free);
        uses.values_mut().for_each(|used| _ = used.remove(&free));
    }
    uses
}

#[test]
fn modules_of_a_crate_have_no_cycles() {
    for package in ["tattler-core", "tattler-files", "sensor-user", "homes", "accuracy", "xtask"] {
        let uses = uses(&workspace().join(package).join("src"));
        assert!(uses.len() > 5 && uses.values().any(|used| !used.is_empty()), "{package}: {uses:?}");
        assert_eq!(cycles(uses), Uses::new(), "{package} has cycles");
    }
}

#[test]
fn a_cycle_is_found() {
    let uses = |list: &[(&str, &[&str])]| -> Uses {
        list.iter().map(|(module, used)| ((*module).into(), used.iter().map(|&used| used.into()).collect())).collect()
    };
    assert!(cycles(uses(&[("a", &["b"]), ("b", &["c"]), ("c", &[])])).is_empty());
    assert_eq!(cycles(uses(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])])).len(), 3);
    let text = "use crate::{ledger::{Ledger, crate_of}, time};\nlet x = crate::report::of($crate::no, my_crate::no);";
    assert_eq!(named(text).into_iter().collect::<Vec<_>>(), ["ledger", "no", "report", "time"]);
}

/// The dependencies of `package`, by `cargo tree`.
fn tree(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .args(["--package", package])
        .current_dir(workspace())
        .finish()
        .expect("run cargo tree");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn core_files_and_accuracy_need_no_kernel_database_or_runtime() {
    let edges = ["tokio", "aya", "rusqlite", "libsqlite3-sys", "libc", "rustix", "netlink-sys", "axum", "sensor-user"];
    for package in ["tattler-core", "tattler-files", "homes", "accuracy"] {
        let tree = tree(package);
        let found: Vec<&str> = edges.into_iter().filter(|edge| tree.contains(*edge)).collect();
        assert!(found.is_empty(), "{package} is built with {found:?}");
    }
    assert!(tree("sensor-user").contains("sensor-common"));
}

#[test]
fn only_datapath_names_aya() {
    let src = workspace().join("sensor-user/src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    files.retain(|path| !path.starts_with(src.join("datapath")));
    files.retain(|path| product(&fs::read_to_string(path).unwrap()).contains("aya::"));
    assert!(files.is_empty(), "{files:?}");
}

/// Public types that share a name with another one, and why that is better than another name.
const SHARED_NAMES: [(&str, &str); 0] = [];

#[test]
fn a_public_type_has_its_name_alone() {
    let kinds = ["pub struct ", "pub enum ", "pub trait ", "pub type ", "pub union "];
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in ["sensor-common", "tattler-core", "tattler-files", "sensor-user", "homes", "accuracy"] {
        let src = workspace().join(package).join("src");
        let mut files = Vec::new();
        sources(&src, &mut files);
        for path in files.iter().filter(|path| !is_test(path)) {
            let text = product(&fs::read_to_string(path).unwrap());
            for rest in text.lines().filter_map(|line| kinds.iter().find_map(|kind| line.strip_prefix(kind))) {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
                places.entry(name).or_default().push(path.strip_prefix(workspace()).unwrap().display().to_string());
            }
        }
    }
    assert!(places.len() > 200, "{}", places.len());
    places.retain(|name, places| places.len() > 1 && !SHARED_NAMES.iter().any(|(shared, _)| shared == name));
    assert!(places.is_empty(), "{places:#?}");
}
