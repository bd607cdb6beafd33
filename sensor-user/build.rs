//! Builds the kernel programs for the live sensor.
//!
//! Takes the object that `TATTLER_EBPF_OBJECT` names, else compiles `sensor-ebpf`. That needs
//! bpf-linker, and a rustc that may use unstable features and has the sources of `core`: rustup's
//! nightly with rust-src, or Debian's rustc-web with rust-web-src. `cargo xtask setup` brings them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        Some(path) => fs::copy(&path, &object).map(drop).map_err(|e| format!("read {}: {e}", path.display())),
        None => compile(&object),
    };
    if let Err(reason) = result {
        // cargo ends the build for it; an exit status would add all that this program has printed.
        println!("cargo::error=cannot build the kernel programs: {reason}");
    }
}

fn compile(object: &Path) -> Result<(), String> {
    let out = object.parent().unwrap_or(Path::new("."));
    let workspace = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("..");
    for source in ["sensor-common/src", "sensor-ebpf/src", "sensor-ebpf/Cargo.toml", "target/tools/bin/bpf-linker"] {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let linker = find_linker(&workspace)
        .ok_or("bpf-linker was not found; run `cargo xtask setup`, or build with --no-default-features")?;
    let compiler = Compiler::find()
        .ok_or("no rustc with its sources was found; run `cargo xtask setup`, or build with --no-default-features")?;

    let mut cargo = compiler.cargo();
    // The outer build's settings are not for this one.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CARGO") || text.starts_with("RUST");
        if ours && !matches!(&*text, "CARGO_HOME" | "RUSTUP_HOME") {
            cargo.env_remove(&name);
        }
    }
    compiler.set_environment(&mut cargo);
    let home = env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", env::var("HOME").unwrap_or_default()));
    let flags = [
        "-C".into(),
        "debuginfo=2".into(),
        format!("-Clinker={}", linker.display()),
        "-C".into(),
        "link-arg=--btf".into(),
        // The same bytes wherever they are built.
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
    compiler.strip(object);
    Ok(())
}

fn find_linker(workspace: &Path) -> Option<PathBuf> {
    let named = env::var_os("TATTLER_BPF_LINKER").map(PathBuf::from);
    let ours = workspace.join("target/tools/bin/bpf-linker");
    let paths = env::var_os("PATH").unwrap_or_default();
    let mut candidates = named.into_iter().chain([ours]).chain(env::split_paths(&paths).map(|p| p.join("bpf-linker")));
    candidates.find(|path| path.is_file()).map(|path| path.canonicalize().unwrap_or(path))
}

/// A rustc that can build `core` for the kernel.
enum Compiler {
    /// rustup's nightly with rust-src.
    Nightly,
    /// The distribution's, told to allow unstable features.
    System,
}

impl Compiler {
    fn find() -> Option<Compiler> {
        [Compiler::Nightly, Compiler::System].into_iter().find(|compiler| {
            let output = compiler.rustc().args(["--print", "sysroot"]).output();
            output.is_ok_and(|output| {
                let sysroot = String::from_utf8_lossy(&output.stdout);
                output.status.success()
                    && Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").is_file()
            })
        })
    }

    fn rustc(&self) -> Command {
        match self {
            Compiler::Nightly => rustup("rustc"),
            Compiler::System => Command::new("/usr/bin/rustc"),
        }
    }

    fn cargo(&self) -> Command {
        match self {
            Compiler::Nightly => rustup("cargo"),
            Compiler::System => Command::new("/usr/bin/cargo"),
        }
    }

    fn set_environment(&self, cargo: &mut Command) {
        if let Compiler::System = self {
            cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
        }
    }

    /// Takes the DWARF out: BTF is made by now, and all that the kernel reads. The tool must be of
    /// the same LLVM; without it the object works as well, and is four times as large.
    fn strip(&self, object: &Path) {
        let version = self.rustc().arg("-vV").output();
        let text = version.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
        let llvm = text.lines().find_map(|line| line.strip_prefix("LLVM version: ")).unwrap_or_default();
        let major = llvm.split('.').next().unwrap_or_default();
        let _ =
            Command::new(format!("/usr/lib/llvm-{major}/bin/llvm-objcopy")).arg("--strip-debug").arg(object).status();
    }
}

fn rustup(tool: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", tool]);
    command
}
