//! Builds the kernel programs for the live sensor.
//!
//! Uses the object file that `TATTLER_EBPF_OBJECT` names. Otherwise compiles `sensor-ebpf` with the pinned rustc and
//! bpf-linker, which `cargo xtask setup` installs.

#[path = "build/compiler.rs"]
mod compiler;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use compiler::Compiler;

const TARGET: &str = "bpfel-unknown-none";

fn main() {
    for name in ["TATTLER_EBPF_OBJECT", "TATTLER_BPF_LINKER"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if env::var_os("CARGO_FEATURE_LIVE").is_none() {
        return;
    }
    let object = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("sensor.bpf.o");
    let result = match env::var_os("TATTLER_EBPF_OBJECT") {
        Some(path) => match fs::copy(&path, &object) {
            Ok(_) => Ok("unknown: the object was given by TATTLER_EBPF_OBJECT".to_owned()),
            Err(error) => Err(format!("read {}: {error}", path.display())),
        },
        None => compile(&object),
    };
    match result {
        Ok(builders) => println!("cargo::rustc-env=TATTLER_BPF_BUILT_BY={builders}"),
        // This line ends the build. After a nonzero exit status, cargo would also print all output of this program.
        Err(reason) => println!("cargo::error=cannot build the kernel programs: {reason}"),
    }
}

/// Compiles the kernel programs to `object`. Returns the names of the tools used.
fn compile(object: &Path) -> Result<String, String> {
    let out = object.parent().unwrap_or(Path::new("."));
    let workspace = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("..");
    for source in [
        "sensor-user/build",
        "sensor-common/src",
        "sensor-ebpf/src",
        "sensor-ebpf/Cargo.toml",
        "target/tools/bin/bpf-linker",
    ] {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let linker = find_linker(&workspace)
        .ok_or("bpf-linker was not found; run `cargo xtask setup`, or build with --no-default-features")?;
    let compiler = Compiler::find()
        .ok_or("no rustc with its sources was found; run `cargo xtask setup`, or build with --no-default-features")?;
    if let Some(warning) = compiler.warning() {
        println!("cargo::warning={warning}");
    }

    let mut cargo = Command::new(compiler.tool("cargo"));
    // The settings of the outer build must not affect the build of the kernel programs.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CARGO") || text.starts_with("RUST");
        if ours && !matches!(&*text, "CARGO_HOME" | "RUSTUP_HOME") {
            cargo.env_remove(&name);
        }
    }
    // Debian's rustc is a stable release, which needs RUSTC_BOOTSTRAP for unstable features.
    cargo.env("RUSTC", compiler.tool("rustc")).env("RUSTC_BOOTSTRAP", "1");
    let home = env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", env::var("HOME").unwrap_or_default()));
    let flags = [
        "-C".into(),
        "debuginfo=2".into(),
        format!("-Clinker={}", linker.display()),
        "-C".into(),
        "link-arg=--btf".into(),
        // The object must have the same bytes in whatever directory it is built.
        format!("--remap-path-prefix={}=/tattler", workspace.canonicalize().unwrap_or(workspace.clone()).display()),
        format!("--remap-path-prefix={home}/registry/src=/registry"),
    ];
    let status = cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .args(["build", "--quiet", "--release", "--locked", "--package", "sensor-ebpf", "--bin", "sensor"])
        .args(["--target", TARGET, "-Z", "build-std=core"])
        .args(env::var_os("CARGO_FEATURE_DEBUG_LOG").map(|_| "--features=debug-log"))
        .args(env::var_os("CARGO_FEATURE_OTHER_LAYOUT").map(|_| "--features=other-layout"))
        .args(env::var_os("CARGO_FEATURE_TEST_HELPERS").map(|_| "--features=test-programs"))
        .arg("--target-dir")
        .arg(out.join("ebpf"))
        .current_dir(&workspace)
        .status()
        .map_err(|e| format!("start cargo: {e}"))?;
    if !status.success() {
        return Err(format!("cargo ended with {status}; see its messages above"));
    }
    fs::copy(out.join("ebpf").join(TARGET).join("release/sensor"), object)
        .map_err(|e| format!("copy the object: {e}"))?;
    strip(object, compiler.llvm());
    let version = Command::new(&linker).arg("--version").output().map_err(|e| format!("start bpf-linker: {e}"))?;
    Ok(format!("{}, {}", compiler.name(), String::from_utf8_lossy(&version.stdout).trim()))
}

/// Removes the DWARF: the kernel reads only BTF, which the linker has already made. The tool must be of the same LLVM
/// version. Without the tool, the object keeps the DWARF: the object then works too, but is four times as large.
fn strip(object: &Path, llvm: Option<u32>) {
    let tool = format!("/usr/lib/llvm-{}/bin/llvm-objcopy", llvm.unwrap_or_default());
    let _ = Command::new(tool).arg("--strip-debug").arg(object).status();
}

fn find_linker(workspace: &Path) -> Option<PathBuf> {
    let named = env::var_os("TATTLER_BPF_LINKER").map(PathBuf::from);
    let ours = workspace.join("target/tools/bin/bpf-linker");
    let paths = env::var_os("PATH").unwrap_or_default();
    let mut candidates = named.into_iter().chain([ours]).chain(env::split_paths(&paths).map(|p| p.join("bpf-linker")));
    candidates.find(|path| path.is_file()).map(|path| path.canonicalize().unwrap_or(path))
}
