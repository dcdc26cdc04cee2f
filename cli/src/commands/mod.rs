//! Every command: one file here and one line in the list below.
//!
//! Help, completions, man pages and the reference derive from the list.

use clap::Subcommand;

use crate::context::Context;

/// A command, its options read.
pub(crate) trait Run {
    /// Carries it out; what it has to say goes to `cx.output`.
    fn run(self, cx: &Context) -> anyhow::Result<()>;
}

macro_rules! commands {
    ($($module:ident::$command:ident,)*) => {
        $(pub(crate) mod $module;)*

        #[derive(Subcommand)]
        pub(crate) enum Command {
            $($command($module::$command),)*
        }

        impl Command {
            pub(crate) fn run(self, cx: &Context) -> anyhow::Result<()> {
                match self {
                    $(Self::$command(command) => Run::run(command, cx),)*
                }
            }
        }
    };
}

commands! {
    serve::Serve,
    list::List,
    inspect::Inspect,
    create::Create,
    toggle::Toggle,
    delete::Delete,
    toxic::Toxic,
    reset::Reset,
    inject::Inject,
    injections::Injections,
    revert::Revert,
    halt::Halt,
    approve::Approve,
    schedule::Schedule,
    audit::Audit,
    token::Token,
    ca::Ca,
    kinds::Kinds,
    connections::Connections,
    events::Events,
    requests::Requests,
    top::Top,
    run::Run,
    report::Report,
    compare::Compare,
    history::History,
    load::Load,
    baseline::Baseline,
    ramp::Ramp,
    lab::Lab,
    completions::Completions,
    man::Man,
}

/// Runs what talks to a server: one thread does.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
