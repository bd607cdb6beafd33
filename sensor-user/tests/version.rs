//! `tattler --version --verbose` names the kernel programs in the binary and the tools that built the programs.

use std::process::Command;

fn verbose(arguments: [&str; 2]) -> Vec<(String, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_tattler")).args(arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with(concat!("tattler ", env!("CARGO_PKG_VERSION"), "\n")), "{said}");
    let lines = said.lines().skip(1).map(|line| line.split_once(": ").expect("a name and a value"));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_verbose_version_names_the_features() {
    let said = verbose(["-V", "--verbose"]);
    assert_eq!(said, verbose(["--verbose", "--version"]));
    let (name, features) = said.last().unwrap();
    assert_eq!((name.as_str(), features.contains("live")), ("features", cfg!(feature = "live")), "{features}");
}

#[cfg(feature = "live")]
#[test]
fn the_verbose_version_has_the_hash_of_the_embedded_object_and_its_builders() {
    let object = sensor_user::datapath::object();
    let said = verbose(["--version", "--verbose"]);
    let expected = format!("{} bytes, BLAKE3 {}", object.len(), blake3::hash(object));
    assert_eq!(said[0], ("kernel programs".to_owned(), expected));
    let builders = &said[1].1;
    let is_given = builders.contains("TATTLER_EBPF_OBJECT");
    assert!(is_given || builders.starts_with("rustc ") && builders.contains(", bpf-linker "), "{builders}");
}
