//! What Toxiproxy's programs accept, put into our own words.
//!
//! Go's flags take one dash for long names (`-host=0.0.0.0`), and
//! `toxiproxy-server` has no verb: containers call it with flags alone. Both are
//! rewritten here, before clap sees them, with clap's own list of flags.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command};

/// The arguments as clap knows them.
pub(crate) fn translate(args: impl IntoIterator<Item = OsString>, root: &Command) -> Vec<OsString> {
    // Only a built command knows its global and its implied flags.
    let mut root = root.clone();
    root.build();
    let root = &root;
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_else(|| "sabot".into());
    let serve = root.find_subcommand("serve");
    let mut out = Vec::new();
    let mut command = root;
    let mut verb = false;
    let mut serves = is_server(&program);
    while let Some(arg) = args.next() {
        if arg == "--" {
            out.push(arg);
            out.extend(args.by_ref());
            break;
        }
        let Some(flag) = Flag::read(&arg) else {
            if let Some(next) = arg.to_str().and_then(|name| command.find_subcommand(name)) {
                command = next;
            }
            // A verb, or what was meant to be one: clap knows what to say.
            verb = true;
            out.push(arg);
            continue;
        };
        let mut known = find(command, &flag);
        if !verb && let Some(of_serve) = serve.and_then(|serve| find(serve, &flag)) {
            // `--help`, `--version` and `--output` alone ask for no server.
            serves |= !of_serve.is_global_set() && !is_inquiry(of_serve);
            known = known.or(Some(of_serve));
        }
        let takes_next = known.is_some_and(|known| takes_value(known) && !flag.has_value);
        let long_by_one_dash = known.is_some() && flag.dashes == 1 && flag.name.len() > 1;
        out.push(if long_by_one_dash { prefixed("-", &arg) } else { arg });
        if takes_next {
            out.extend(args.next());
        }
    }
    if serves && !verb {
        out.insert(0, "serve".into());
    }
    out.insert(0, program);
    out
}

/// Links to the binary under the server's old names.
fn is_server(program: &OsStr) -> bool {
    let stem = std::path::Path::new(program).file_stem().and_then(OsStr::to_str);
    matches!(stem, Some("toxiproxy-server" | "toxiproxy"))
}

struct Flag<'a> {
    dashes: usize,
    name: &'a str,
    has_value: bool,
}

impl<'a> Flag<'a> {
    fn read(arg: &'a OsStr) -> Option<Self> {
        let text = arg.to_str()?;
        let (dashes, rest) = match text.strip_prefix("--") {
            Some(rest) => (2, rest),
            None => (1, text.strip_prefix('-')?),
        };
        let (name, has_value) = match rest.split_once('=') {
            Some((name, _)) => (name, true),
            None => (rest, false),
        };
        // A lone dash is a file, and -5 a number.
        let is_name = name.starts_with(|c: char| c.is_alphabetic());
        is_name.then_some(Self { dashes, name, has_value })
    }
}

fn find<'c>(command: &'c Command, flag: &Flag<'_>) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| {
        let long = arg.get_long() == Some(flag.name)
            || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&flag.name));
        let short = || arg.get_short().is_some_and(|short| flag.name.chars().eq([short]));
        long || (flag.dashes == 1 && short())
    })
}

fn takes_value(arg: &Arg) -> bool {
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    takes && !arg.is_require_equals_set()
}

fn is_inquiry(arg: &Arg) -> bool {
    let asks = [ArgAction::Help, ArgAction::HelpLong, ArgAction::HelpShort, ArgAction::Version];
    asks.iter().any(|action| std::mem::discriminant(action) == std::mem::discriminant(arg.get_action()))
}

fn prefixed(prefix: &str, arg: &OsStr) -> OsString {
    let mut out = OsString::from(prefix);
    out.push(arg);
    out
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::context::Cli;

    /// What is typed, and what clap gets to see.
    const TABLE: &[(&str, &str)] = &[
        // As container images and Testcontainers call the server.
        ("sabot -host=0.0.0.0 -config=f.json", "sabot serve --host=0.0.0.0 --config=f.json"),
        ("sabot -host 0.0.0.0 -port 8474", "sabot serve --host 0.0.0.0 --port 8474"),
        ("sabot --host=0.0.0.0 --seed 5", "sabot serve --host=0.0.0.0 --seed 5"),
        ("sabot -runtime-metrics -proxy-metrics", "sabot serve --runtime-metrics --proxy-metrics"),
        ("sabot -proxy-metrics=true", "sabot serve --proxy-metrics=true"),
        ("sabot -host=0.0.0.0", "sabot serve --host=0.0.0.0"),
        ("sabot serve -host=0.0.0.0", "sabot serve --host=0.0.0.0"),
        ("sabot serve --host 0.0.0.0 -seed=-3", "sabot serve --host 0.0.0.0 --seed=-3"),
        ("/toxiproxy", "/toxiproxy serve"),
        ("/toxiproxy -config list", "/toxiproxy serve --config list"),
        ("toxiproxy-server -port=0", "toxiproxy-server serve --port=0"),
        ("toxiproxy-cli list", "toxiproxy-cli list"),
        // A verb decides, wherever its flags stand.
        ("sabot -h http://x:1 list", "sabot -h http://x:1 list"),
        ("sabot -host http://x:1 list", "sabot --host http://x:1 list"),
        ("sabot --host serve list", "sabot --host serve list"),
        ("sabot list -host=http://x:1", "sabot list --host=http://x:1"),
        ("sabot -output json list", "sabot --output json list"),
        // Questions are no server.
        ("sabot", "sabot"),
        ("sabot --help", "sabot --help"),
        ("sabot -version", "sabot --version"),
        ("sabot -host=x -version", "sabot serve --host=x --version"),
        ("sabot list -help", "sabot list --help"),
        // The client's flags, also after one dash.
        ("sabot create -listen :1 -upstream x:2 n", "sabot create --listen :1 --upstream x:2 n"),
        ("sabot c n -l :1 -u x:2", "sabot c n -l :1 -u x:2"),
        (
            "sabot toxic add -type latency -toxicName n -attribute latency=5 -tox 0.5 -upstream p",
            "sabot toxic add --type latency --toxicName n --attribute latency=5 --tox 0.5 --upstream p",
        ),
        ("sabot t a -t latency -a latency=5 -u p", "sabot t a -t latency -a latency=5 -u p"),
        ("sabot toxic add -tlatency p", "sabot toxic add -tlatency p"),
        // Values are left alone, whatever they look like.
        ("sabot delete -- -host", "sabot delete -- -host"),
        ("sabot toxic remove -n -host p", "sabot toxic remove -n -host p"),
        ("sabot bogus -host=x", "sabot bogus --host=x"),
    ];

    #[test]
    fn go_flags_become_ours() {
        let root = Cli::command();
        for (typed, seen) in TABLE {
            let args = typed.split(' ').map(Into::into);
            let out = super::translate(args, &root);
            let out: Vec<_> = out.iter().map(|arg| arg.to_str().unwrap()).collect();
            assert_eq!(out.join(" "), *seen);
        }
    }

    #[test]
    fn the_surface_is_sound() {
        Cli::command().debug_assert();
    }
}
