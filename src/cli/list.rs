//! `ghtrader list`: the flows of a project.

use super::error::print;
use super::project::STAND;
use super::{CliError, Exit, Project};
use crate::key::canonical;
use crate::kinds::Kinds;

pub(super) fn list(project: &Project) -> Result<Exit, CliError> {
    if !project.root.join("flows").is_dir() {
        let message = format!("there is no project: no `flows/` in {} or above it", project.root.display());
        return Err(CliError::usage(message, STAND));
    }
    let kinds = Kinds::installed();
    for name in project.flows()? {
        match project.flow(&name, &kinds) {
            Ok(flow) => {
                print(format!("{name}  {}", flow.description.as_deref().unwrap_or_default()).trim_end());
                for param in &flow.params {
                    let default = match &param.default {
                        Some(default) => format!(" = {}", canonical(default)),
                        None if param.required => ", required".to_owned(),
                        None => ", optional".to_owned(),
                    };
                    let help = param.help.as_deref().unwrap_or_default();
                    print(format!("    {}: {}{default}  {help}", param.name.value, param.r#type).trim_end());
                }
            }
            // One broken flow must not hide the others.
            Err(_) => print(&format!("{name}  is not valid: see `ghtrader check {name}`")),
        }
    }
    Ok(Exit::Done)
}
