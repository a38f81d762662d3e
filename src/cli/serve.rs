//! `ghtrader serve [--port N]`: the web page.

use clap::Args;

use super::error::print;
use super::{CliError, Exit, Project};
use crate::leases;
use crate::provenance::list;
use crate::serve::{PORT, ServeError, Site, serve as on};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where on 127.0.0.1; 0 for any port that is free
    #[arg(long, value_name = "N", default_value_t = PORT)]
    port: u16,
}

pub(super) fn serve(project: &Project, args: &ServeArgs) -> Result<Exit, CliError> {
    let cache = project.look()?;
    // What is wrong with the cache is told here too, and not on its pages alone.
    list(&cache.runs())?;
    let site = Site { root: project.root.clone(), cache: cache.root().to_owned(), leases: leases::folder() };
    let served = on(site, args.port, |address| print(&format!("http://{address}/")));
    match served {
        Ok(()) => Ok(Exit::Interrupted),
        Err(error @ ServeError::Port { .. }) => {
            let help = "name another port with `--port N`, or `--port 0` for any that is free";
            Err(CliError::usage(error.to_string(), help))
        }
        Err(ServeError::Io(error)) => Err(error.into()),
    }
}
