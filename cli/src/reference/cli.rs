//! `docs/reference/cli.md`, from clap's own picture of the commands.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use super::{Page, cell};
use crate::context::Cli;

pub(super) fn page() -> Page {
    let mut root = Cli::command();
    root.build();
    let mut text = String::from(
        "# Command line\n\n\
         <!-- Generated from the program; `SABOT_BLESS=1 cargo test -p sabot reference` rewrites it. -->\n\n\
         Every command takes `--output json` for programs and `--help`. Errors are told on stderr, with what to do \
         next, and end with exit code 1.\n",
    );
    text.push_str("\n| command | what it does |\n|---|---|\n");
    let mut commands = Vec::new();
    collect(&root, &mut commands);
    for command in commands.iter().skip(1) {
        let name = name(command);
        let _ = writeln!(text, "| [`{name}`](#{}) | {} |", name.replace(' ', "-"), about(command));
    }
    for command in commands {
        section(command, &mut text);
    }
    Page { path: "reference/cli.md".to_owned(), text }
}

fn collect<'c>(command: &'c Command, into: &mut Vec<&'c Command>) {
    into.push(command);
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        collect(inner, into);
    }
}

fn name(command: &Command) -> String {
    command.get_bin_name().unwrap_or(command.get_name()).to_owned()
}

fn about(command: &Command) -> String {
    command.get_about().map(|about| cell(&about.to_string())).unwrap_or_default()
}

fn section(command: &Command, text: &mut String) {
    let _ = write!(text, "\n## {}\n\n", name(command));
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(text, "{}.", about.trim_end_matches('.'));
    let usage = command.clone().render_usage().to_string();
    let _ = write!(text, "\n```text\n{}\n```\n", usage.trim_start_matches("Usage: ").trim());
    let aliases: Vec<_> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        let _ = write!(text, "\nAlso: {}\n", aliases.join(", "));
    }
    let root = command.get_name() == "sabot";
    let shown =
        |arg: &&Arg| root || (!arg.is_global_set() && !matches!(arg.get_id().as_str(), "help" | "version"));
    let args: Vec<_> = command.get_arguments().filter(shown).collect();
    if !args.is_empty() {
        text.push_str("\n| option | what it does |\n|---|---|\n");
        for arg in args {
            let _ = writeln!(text, "| `{}` | {} |", cell(&flag(arg)), cell(&help(arg)));
        }
    }
    if let Some(after) = command.get_after_help().filter(|_| !root) {
        notes(&after.to_string(), text);
    }
}

/// Paragraphs stay paragraphs; what is indented is an example.
fn notes(notes: &str, text: &mut String) {
    for paragraph in notes.split("\n\n") {
        let (plain, indented): (Vec<_>, Vec<_>) = paragraph.lines().partition(|line| !line.starts_with("  "));
        if !plain.is_empty() {
            let _ = write!(text, "\n{}\n", plain.join(" "));
        }
        if !indented.is_empty() {
            let _ = write!(
                text,
                "\n```text\n{}\n```\n",
                indented.iter().map(|line| &line[2..]).collect::<Vec<_>>().join("\n")
            );
        }
    }
}

fn flag(arg: &Arg) -> String {
    let values = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = values.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    if arg.is_positional() {
        return value.unwrap_or_default();
    }
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    let aliases = aliases.into_iter().map(|alias| format!("--{alias}"));
    let names: Vec<_> = short.into_iter().chain(long).chain(aliases).collect();
    let value = value.filter(|_| !arg.is_require_equals_set());
    names.join(", ") + &value.map(|value| format!(" {value}")).unwrap_or_default()
}

fn help(arg: &Arg) -> String {
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let choices: Vec<_> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if arg.get_action().takes_values() && !choices.is_empty() && !arg.is_require_equals_set() {
        let _ = write!(help, "; one of {}", choices.join(", "));
    }
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        let _ = write!(help, " [default: {}]", defaults.join(" "));
    }
    if let Some(name) = arg.get_env() {
        let _ = write!(help, " [env: {}]", name.to_string_lossy());
    }
    help
}

/// The first line of a block loses its indent easily: the source continues a line above it with a backslash.
#[test]
fn no_example_is_run_into_a_paragraph() {
    let mut root = Cli::command();
    root.build();
    let mut commands = Vec::new();
    collect(&root, &mut commands);
    let mut blocks = 0;
    for command in commands {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in after.lines() {
            blocks += usize::from(line.starts_with("  "));
            let aligned = line.trim_start().contains("   ");
            let example = line.starts_with("sabot ") && after.lines().count() > 1;
            assert!(line.starts_with("  ") || !(aligned || example), "{}: {line}", name(command));
        }
    }
    assert!(blocks > 30, "{blocks}");
}
