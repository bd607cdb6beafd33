//! The text at the end of every `--help`: an example, which a test parses, and the exit statuses.

use clap::{Command, CommandFactory};

use super::Arguments;

/// The definition of the command line, with all help texts.
pub(super) fn command() -> Command {
    finish(Arguments::command())
}

/// The exit statuses of a command, in one line.
pub(super) fn exit_statuses(command: &str) -> &'static str {
    match command {
        "analyze" | "packets" => "0 done; 1 failure, or part of the input was left out; 2 wrong usage",
        "check-config" => "0 the configuration is valid; 1 it has a problem; 2 wrong usage",
        "detach" => "0 nothing is left; 1 something stays; 2 wrong usage",
        "doctor" => "0 no problem; 1 a problem was found; 2 wrong usage",
        "run" => "0 ended by a signal; 1 it could not start; 2 wrong usage",
        _ => "0 done; 1 failure; 2 wrong usage",
    }
}

fn finish(command: Command) -> Command {
    let command = command.mut_subcommands(finish);
    let statuses = exit_statuses(command.get_name());
    let example = command.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
    command.after_help(format!("{example}Exit status: {statuses}"))
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    /// Splits a line as a shell does: into words, with quotes, up to a pipe or a redirection.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in line.chars() {
            match (c, quote) {
                (c, Some(q)) if c == q => quote = None,
                ('\'' | '"', None) => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                ('|' | '>' | '#', None) if word.is_none() => break,
                (' ', None) => words.extend(word.take()),
                (c, _) => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    fn examples(help: &str) -> Vec<&str> {
        let lines = help.lines().map(|line| line.trim_start_matches("Example:").trim());
        lines.filter(|line| line.starts_with("tattler ")).collect()
    }

    fn check(command: &Command, path: &str) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Exit status: 0 "), "{path} documents no exit status");
            let examples = examples(&help);
            assert!(sub.has_subcommands() || !examples.is_empty(), "{path} --help has no example");
            for example in examples {
                assert!(format!("{example} ").starts_with(&format!("{path} ")), "{example} is none of {path}");
                if let Err(error) = super::command().try_get_matches_from(words(example)) {
                    assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{example}: {error}");
                }
            }
            check(sub, &path);
        }
    }

    #[test]
    fn every_help_ends_with_an_example_and_exit_statuses() {
        check(&command(), "tattler");
    }

    #[cfg(feature = "live")]
    #[test]
    fn every_command_of_the_guide_parses() {
        let guide = include_str!("../../../docs/guide.md");
        let commands: Vec<&str> = guide
            .lines()
            .filter_map(|line| line.strip_prefix("# ").or(line.strip_prefix("$ ")))
            .chain(guide.lines().filter_map(|line| line.strip_prefix("ExecStart=/usr/local/sbin/")))
            .filter(|line| line.starts_with("tattler "))
            .collect();
        assert!(commands.len() > 8, "{commands:?}");
        for command in commands {
            super::command().try_get_matches_from(words(command)).unwrap_or_else(|error| panic!("{command}: {error}"));
        }
    }

    #[test]
    fn an_example_is_split_as_a_shell_does() {
        assert_eq!(words("tattler a 'b c' --d '' | less"), ["tattler", "a", "b c", "--d", ""]);
    }
}
