//! Microsoft's card renderer, fetched once with npm. Without it the page draws cards plainly and says why.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Longer than this nobody should wait for a prettier card.
const PATIENCE: Duration = Duration::from_secs(30);

const BUNDLE: &str = "node_modules/adaptivecards/dist/adaptivecards.min.js";

/// What the page can show cards with.
#[derive(Debug, Clone)]
pub struct Assets(Result<Arc<str>, String>);

impl Assets {
    pub(super) fn renderer(&self) -> Option<&str> {
        self.0.as_deref().ok()
    }

    pub(super) fn problem(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }
}

/// Finds the renderer, or installs it: at the version and with the integrity hash that the lock file beside this module pins.
pub async fn fetch(data_dir: Option<&Path>) -> Assets {
    let folder = data_dir
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".assets"), |data_dir| data_dir.join("assets"));
    let work = tokio::task::spawn_blocking(move || find_or_install(&folder));
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(found)) => Assets(found),
        Ok(Err(_)) => Assets(Err("fetching it failed".to_owned())),
        Err(_) => Assets(Err("npm did not finish in time; it is used at the next start if it finishes".to_owned())),
    }
}

fn find_or_install(folder: &PathBuf) -> Result<Arc<str>, String> {
    let bundle = folder.join(BUNDLE);
    if !bundle.exists() {
        install(folder)?;
    }
    std::fs::read_to_string(&bundle)
        .map(Arc::from)
        .map_err(|error| format!("{} cannot be read: {error}", bundle.display()))
}

fn install(folder: &PathBuf) -> Result<(), String> {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
    std::fs::create_dir_all(folder)
        .and_then(|()| write("package.json", include_str!("package.json")))
        .and_then(|()| write("package-lock.json", include_str!("package-lock.json")))
        .map_err(|error| format!("{} cannot be written: {error}", folder.display()))?;
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match npm {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("npm ended with {status}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("npm is not installed".to_owned()),
        Err(error) => Err(format!("npm cannot be started: {error}")),
    }
}
