use std::io::Write;

use clap::Args;
use sabot_client::Error;
use sabot_proxy::Authority;

use super::{Place, Run, block_on};
use crate::ca_dir;
use crate::context::{Api, Context};
use crate::failure::Failure;

/// Write the CA's certificate to stdout: the server's, or that of --ca-dir
#[derive(Args)]
#[command(
    after_help = "Without --ca-dir the server is asked; if none answers, the CA in the usual directory is written."
)]
pub(crate) struct Export {
    #[command(flatten)]
    place: Place,
    /// Write DER instead of PEM
    #[arg(long)]
    der: bool,
    #[command(flatten)]
    api: Api,
}

impl Run for Export {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let pem = match &self.place.ca_dir {
            Some(directory) => local(directory)?.ok_or_else(|| {
                let message = format!("there is no CA in {}", directory.display());
                Failure::new(message, "`sabot ca init` makes one")
            })?,
            None => self.asked(cx)?,
        };
        let mut out = std::io::stdout().lock();
        if self.der {
            out.write_all(&der(&pem)?)?;
        } else {
            out.write_all(pem.as_bytes())?;
        }
        Ok(())
    }
}

impl Export {
    /// What the server signs with; a CA of this user's need not be that one.
    fn asked(&self, cx: &Context) -> anyhow::Result<String> {
        let client = cx.client(&self.api)?;
        let mut answer = None;
        block_on(async {
            answer = Some(client.ca().await);
            Ok(())
        })?;
        match answer {
            Some(Ok(pem)) => Ok(pem),
            Some(Err(error @ Error::Unreachable { .. })) => {
                let usual = ca_dir::of_user().map(|directory| local(&directory)).transpose()?;
                Ok(usual.flatten().ok_or_else(|| Failure::from(error))?)
            }
            Some(Err(error)) => Err(Failure::from(error).into()),
            None => Err(Failure::new("nothing was answered", "name the server with --host").into()),
        }
    }
}

fn local(directory: &std::path::Path) -> Result<Option<String>, Failure> {
    let found = Authority::load(directory)
        .map_err(|error| Failure::new(error.to_string(), "`sabot ca init` makes one"));
    Ok(found?.map(|authority| authority.pem().to_owned()))
}

fn der(pem: &str) -> Result<Vec<u8>, Failure> {
    sabot_proxy::tls::pem_to_der(pem).ok_or_else(|| {
        Failure::new("the server answered something that is no certificate", "is it a Sabot server?")
    })
}
