//! Where programs lie. They are looked for here and not by std, which would have to fork for that.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Programs that were found, by the search path and their name.
#[derive(Debug, Default)]
pub(super) struct Programs(HashMap<(OsString, OsString), PathBuf>);

impl Programs {
    /// Where a program lies: as it is where it has a slash, else in one of the folders of `path`.
    pub(super) fn find(&mut self, program: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
        if program.as_bytes().contains(&b'/') {
            return Some(program.into());
        }
        let name = (path?.to_owned(), program.to_owned());
        // One look instead of one for each folder; what has gone since is looked for again.
        if let Some(known) = self.0.get(&name).filter(|file| runs(file)) {
            return Some(known.clone());
        }
        let found = std::env::split_paths(path?).map(|folder| folder.join(program)).find(|file| runs(file))?;
        self.0.insert(name, found.clone());
        Some(found)
    }
}

fn runs(file: &Path) -> bool {
    let is_file = std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
    is_file && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_program_is_found_in_the_first_folder_that_has_it_and_found_again_when_it_has_gone() {
        let root = tempfile::tempdir().unwrap();
        let path = std::env::join_paths(["a", "b", "c"].map(|name| root.path().join(name))).unwrap();
        let make = |name: &str, mode| {
            let file = root.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let mut programs = Programs::default();
        let mut find = |name: &str| programs.find(name.as_ref(), Some(&path));
        make("a/tool", 0o644);
        make("b/tool", 0o755);
        make("c/tool", 0o755);
        assert_eq!(find("tool"), Some(root.path().join("b/tool")));
        std::fs::remove_file(root.path().join("b/tool")).unwrap();
        assert_eq!(find("tool"), Some(root.path().join("c/tool")));
        assert_eq!(find("other"), None);
        assert_eq!(find("./tool"), Some("./tool".into()));
    }
}
