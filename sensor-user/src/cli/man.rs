//! `tattler man`: manual pages, made from the same text as `--help`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::cannot_write;
use super::help::exit_statuses;

/// Write the manual pages: tattler.1, and a page for each command.
#[derive(clap::Args)]
#[command(after_help = "Example: tattler man --dir /usr/local/share/man/man1")]
pub(super) struct Arguments {
    /// The directory to write to, created if missing. Without it, tattler.1 goes to standard output.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let pages = pages()?;
    match &arguments.dir {
        Some(dir) => {
            fs::create_dir_all(dir).map_err(|error| cannot_write(dir, &error))?;
            for (name, page) in pages {
                let path = dir.join(name);
                fs::write(&path, page).map_err(|error| cannot_write(&path, &error))?;
            }
        }
        None => super::print(&pages[0].1)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// All pages with their file names; the page of `tattler` comes first.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = super::Arguments::command().disable_help_subcommand(true);
    // This sets the full names of subcommands for the synopses.
    command.build();
    let mut pages = Vec::new();
    collect(&command, "tattler", &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    pages.push((format!("{name}.1"), page(command, name)?));
    for sub in command.get_subcommands() {
        collect(sub, &format!("{name}-{}", sub.get_name()), pages)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let example = command.get_after_help().map(ToString::to_string);
    let statuses = exit_statuses(command.get_name());
    let source = format!("tattler {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name).source(source).manual("Tattler");

    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if let Some(example) = example {
        rest.control("SH", ["EXAMPLE"]);
        for line in example.lines().map(|line| line.trim_start_matches("Example:").trim()).filter(|l| !l.is_empty()) {
            rest.control("PP", []).text([bold(line)]);
        }
    }
    rest.control("SH", ["EXIT STATUS"]);
    for status in statuses.split("; ") {
        let (number, meaning) = status.split_once(' ').unwrap_or((status, ""));
        rest.control("TP", []).text([bold(number)]).text([roman(meaning)]);
    }
    if name == "tattler" {
        rest.control("SH", ["FILES"]);
        for (file, what) in FILES {
            rest.control("TP", []).text([bold(file)]).text([roman(what)]);
        }
    } else {
        rest.control("SH", ["SEE ALSO"]).text([bold("tattler"), roman("(1)")]);
    }
    rest.to_writer(&mut page)?;
    Ok(page)
}

const FILES: [(&str, &str); 4] = [
    ("/etc/tattler/tattler.toml", "The configuration; `tattler check-config` checks it."),
    ("/etc/tattler/conf.d/*.toml", "Read after it, in order of name; a key here replaces one there."),
    ("/var/lib/tattler/", "The diary of contacts and probes, readable by its owner alone."),
    ("/run/tattler/tattler.sock", "Where queries reach the sensor; for its owner and the group tattler."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_example_and_exit_statuses() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "tattler.1");
        for sub in super::super::Arguments::command().get_subcommands() {
            assert!(names.contains(&format!("tattler-{}.1", sub.get_name()).as_str()), "{names:?}");
        }
        for (name, page) in &pages {
            let page = String::from_utf8_lossy(page);
            for section in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH \"EXIT STATUS\""] {
                assert!(page.contains(section), "{name} has no {section}:\n{page}");
            }
        }
    }
}
