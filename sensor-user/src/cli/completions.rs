//! `tattler completions`: scripts that complete commands and flags in a shell.

use std::process::ExitCode;

use clap_complete::Shell;

/// Print a script that completes commands and flags.
///
/// bash: into /etc/bash_completion.d/tattler; zsh: as _tattler into a directory of $fpath; fish:
/// into ~/.config/fish/completions/tattler.fish.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler completions bash > /etc/bash_completion.d/tattler")]
pub(super) struct Arguments {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // clap_complete panics if its writer fails, so write to memory first.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::help::command(), "tattler", &mut script);
    super::print(script)?;
    Ok(ExitCode::SUCCESS)
}
