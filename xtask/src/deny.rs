//! The rules of deny.toml, applied to the output of `cargo metadata`.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::paths;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Whether a licence expression (SPDX, or its older form with `/`) can be met by these licences.
fn is_met(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ");
    let whole = expression.trim();
    if let Some(parts) = split(whole, " OR ") {
        return parts.iter().any(|part| is_met(part, allowed));
    }
    if let Some(parts) = split(whole, " AND ") {
        return parts.iter().all(|part| is_met(part, allowed));
    }
    match whole.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => is_met(inner, allowed),
        None => allowed.contains(&whole),
    }
}

/// The parts between an operator outside parentheses; none if it is not there.
fn split<'e>(expression: &'e str, operator: &str) -> Option<Vec<&'e str>> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, c) in expression.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= begin && expression[at..].starts_with(operator) => {
                parts.push(&expression[begin..at]);
                begin = at + operator.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[begin..]);
    (parts.len() > 1).then_some(parts)
}

fn texts(value: &toml::Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
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
    let allowed = texts(&rules["licenses"]["allow"]);
    let skipped: Vec<&str> =
        rules["bans"]["skip"].as_array().unwrap().iter().map(|row| row["crate"].as_str().unwrap()).collect();
    let mut cargo = paths::cargo();
    let told = cargo.args(["metadata", "--format-version", "1", "--locked"]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let metadata: Value = serde_json::from_slice(&told.stdout).unwrap();

    let (mut wrong, mut versions) = (Vec::new(), BTreeMap::<&str, Vec<&str>>::new());
    for package in metadata["packages"].as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        versions.entry(name).or_default().push(version);
        if !is_met(text("license"), &allowed) {
            wrong.push(format!("{name}: the licence {:?} is not allowed", text("license")));
        }
        // Of the workspace itself there is no source.
        if !matches!(package["source"].as_str(), None | Some(REGISTRY)) {
            wrong.push(format!("{name} comes from {}", text("source")));
        }
        let is_ours = package["source"].is_null();
        for dependency in package["dependencies"].as_array().unwrap().iter().filter(|_| is_ours) {
            if dependency["req"] == "*" && dependency["path"].is_null() {
                wrong.push(format!("{name} takes any version of {}", dependency["name"]));
            }
        }
    }
    for (name, versions) in versions {
        let is_skipped = |version: &&&str| {
            let of = |skipped: &str| skipped.split_once('@').is_some_and(|(n, v)| n == name && version.starts_with(v));
            skipped.iter().any(|skipped| of(skipped))
        };
        if versions.iter().filter(|version| !is_skipped(version)).count() > 1 {
            wrong.push(format!("{name} is there as {}", versions.join(" and ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
