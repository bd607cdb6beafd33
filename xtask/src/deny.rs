//! Applies the rules of deny.toml to the output of `cargo metadata`.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::paths;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Whether these licences meet an SPDX expression, or an expression in the older form with `/`. Every part between ANDs
/// needs an allowed alternative. For mixed terms without parentheses this check is at least as strict as SPDX.
fn is_met(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ");
    let trim = |part: &str| part.trim_matches(|c: char| c.is_whitespace() || "()".contains(c)).to_owned();
    let has_allowed = |part: &str| part.split(" OR ").any(|licence| allowed.contains(&&*trim(licence)));
    expression.split(" AND ").all(has_allowed)
}

fn texts(value: &toml::Value, key: Option<&str>) -> Vec<String> {
    let rows = value.as_array().unwrap().iter().map(|row| key.map_or(row, |key| &row[key]));
    rows.map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn licences_are_read_as_expressions() {
    let allowed = ["MIT", "Unicode-3.0"];
    for met in ["MIT", "MIT/Apache-2.0", "GPL-2.0-only OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for not in ["", "GPL-3.0-only", "MIT AND GPL-2.0-only", "(MIT OR ISC) AND BSD-2-Clause", "MIT WITH x"] {
        assert!(!is_met(not, &allowed), "{not}");
    }
}

#[test]
fn dependencies_keep_the_rules_of_deny_toml() {
    let rules: toml::Table = fs::read_to_string(paths::workspace().join("deny.toml")).unwrap().parse().unwrap();
    let allowed = texts(&rules["licenses"]["allow"], None);
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let skipped = texts(&rules["bans"]["skip"], Some("crate"));
    let told = paths::cargo().args(["metadata", "--format-version", "1", "--locked"]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let metadata: Value = serde_json::from_slice(&told.stdout).unwrap();

    let (mut wrong, mut versions) = (Vec::new(), BTreeMap::<&str, Vec<&str>>::new());
    for package in metadata["packages"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        if !skipped.iter().any(|skipped| format!("{name}@{version}").starts_with(&format!("{skipped}."))) {
            versions.entry(name).or_default().push(version);
        }
        if !is_met(text("license"), &allowed) {
            wrong.push(format!("{name}: the licence {:?} is not allowed", text("license")));
        }
        // The crates of the workspace have no `source` field.
        let is_ours = package["source"].is_null();
        if !is_ours && text("source") != REGISTRY {
            wrong.push(format!("{name} comes from {}", text("source")));
        }
        for dependency in package["dependencies"].as_array().unwrap().iter().filter(|_| is_ours) {
            if dependency["req"] == "*" && dependency["path"].is_null() {
                wrong.push(format!("{name} takes any version of {}", dependency["name"]));
            }
        }
    }
    let twice = versions.iter().filter(|(_, versions)| versions.len() > 1);
    wrong.extend(twice.map(|(name, versions)| format!("{name} is there as {}", versions.join(" and "))));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
