//! Where leases are.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

/// As `/tmp`: everybody may make files there, and remove nobody else's.
const MODE: u32 = 0o1777;

/// The folder for all users of this machine, unless `GHTRADER_LEASES` names another. A task that runs tasks of its own has only
/// what it was given: they share a folder beside its request.
pub fn folder() -> PathBuf {
    // A variable that is set to nothing counts as not set, as for other programs.
    if let Some(folder) = std::env::var_os("GHTRADER_LEASES").filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
    let task = std::env::var_os(ghtrader_kit::REQUEST_VARIABLE).map(PathBuf::from);
    if let Some(folder) = task.as_deref().and_then(Path::parent).filter(|folder| folder.is_dir()) {
        return folder.join("leases");
    }
    // In memory, so that nothing stays over a restart; and of this machine alone.
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.join("ghtrader-leases") } else { PathBuf::from("/tmp/ghtrader-leases") }
}

/// Makes a folder that everybody can write, and those above it that are not there.
pub(super) fn create(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        create(above)?;
    }
    match fs::create_dir(folder) {
        // Which the umask does not give.
        Ok(()) => fs::set_permissions(folder, std::fs::Permissions::from_mode(MODE)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
