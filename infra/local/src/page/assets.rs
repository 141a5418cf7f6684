//! Microsoft's card renderer, fetched with npm on the first start and kept.
//!
//! It is not part of this repository: its licence and its updates are its own. What is served is exactly one known
//! version: the lock file pins the package's digest, and the file itself is checked each time before it is used. Whoever
//! has no npm, or no network, gets a plain rendering and a line that says why.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use serde::Serialize;

/// The renderer's name among the page's files.
pub(super) const BUNDLE: &str = "adaptivecards.min.js";

/// What the lock file pins.
const VERSION: &str = "3.0.6";
/// The package's only file that is made for browsers and needs no other: `dist/adaptivecards.min.js` (UMD, sets
/// `window.AdaptiveCards`).
const SHA256_HEX: &str = "5e7c13f3300ae7b89b34703501e08d709fbb6635f1c6755b92495577a77344f2";
const MANIFEST: &str = include_str!("renderer/package.json");
const LOCK: &str = include_str!("renderer/package-lock.json");

/// The stack starts without the renderer rather than later than this.
const TIME_LIMIT: Duration = Duration::from_secs(18);

/// What the page renders cards with.
#[derive(Debug, Clone)]
pub struct Assets {
    script: Option<Bytes>,
    renderer: Renderer,
}

/// The same for the page to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Renderer {
    Official { version: &'static str },
    Plain { why: String, fix: &'static str },
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("there is no npm on this machine")]
    NoNpm,
    #[error("npm took longer than {} seconds", .0.as_secs())]
    TooSlow(Duration),
    #[error("npm failed: {0}")]
    Failed(String),
    #[error("npm brought something else than adaptivecards {VERSION}")]
    Unexpected,
    #[error("the folder for it cannot be written")]
    Folder(#[source] io::Error),
}

impl Assets {
    /// The plain rendering; `why` is shown on the page.
    #[must_use]
    pub fn plain(why: &str) -> Self {
        Self::without(why.to_owned(), "Restart the local stack to try again.")
    }

    fn without(why: String, fix: &'static str) -> Self {
        Self { script: None, renderer: Renderer::Plain { why, fix } }
    }

    pub(super) fn script(&self) -> Option<Bytes> {
        self.script.clone()
    }

    pub(super) fn renderer(&self) -> &Renderer {
        &self.renderer
    }
}

/// The renderer from the cache, or from npm. Never fails and takes at most about 20 s.
pub async fn fetch(data_dir: Option<&Path>) -> Assets {
    let npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    let folder = folder(data_dir);
    let work = tokio::task::spawn_blocking(move || from_cache_or(npm, &folder, TIME_LIMIT, SHA256_HEX));
    match work.await.unwrap_or_else(|error| Err(Trouble::Failed(error.to_string()))) {
        Ok(script) => Assets { script: Some(script), renderer: Renderer::Official { version: VERSION } },
        Err(trouble) => {
            tracing::warn!(error = runtime::chain(&trouble), "cards are drawn plainly");
            let fix = match trouble {
                Trouble::NoNpm => "Install Node.js, which brings npm, and restart the local stack.",
                Trouble::TooSlow(_) | Trouble::Failed(_) | Trouble::Unexpected => {
                    "Check with \"npm ping\" that npm reaches its registry, and restart the local stack."
                }
                Trouble::Folder(_) => "Make infra/local writable, or use --data-dir, and restart the local stack.",
            };
            Assets::without(trouble.to_string(), fix)
        }
    }
}

/// Beside the source, where all runs share it; a program that was moved away from there keeps it with its data.
fn folder(data_dir: Option<&Path>) -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    match data_dir {
        Some(data) if !crate_dir.is_dir() => data.join("assets"),
        _ => crate_dir.join(".assets"),
    }
}

fn from_cache_or(npm: Command, folder: &Path, limit: Duration, sha256: &str) -> Result<Bytes, Trouble> {
    if let Some(known) = read(folder, sha256) {
        return Ok(known);
    }
    let workshop = Workshop::new(folder).map_err(Trouble::Folder)?;
    install(npm, &workshop.0, limit)?;
    let script = read(&workshop.0, sha256).ok_or(Trouble::Unexpected)?;
    // Another start may have been faster; then its copy is as good.
    if read(folder, sha256).is_none() {
        let (made, kept) = (workshop.0.join(NODE_MODULES), folder.join(NODE_MODULES));
        let _nothing_there = std::fs::remove_dir_all(&kept);
        std::fs::rename(made, kept).map_err(Trouble::Folder)?;
    }
    Ok(script)
}

const NODE_MODULES: &str = "node_modules";

/// The script, if it is there and is the one that we know.
fn read(folder: &Path, sha256: &str) -> Option<Bytes> {
    let script = std::fs::read(folder.join(NODE_MODULES).join("adaptivecards/dist").join(BUNDLE)).ok()?;
    let found: String = digest(&SHA256, &script).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    (found == sha256).then(|| script.into())
}

/// A folder of its own for each installation, so that two starts at the same time do not meet. Dropping it deletes it.
#[derive(Debug)]
struct Workshop(PathBuf);

impl Workshop {
    fn new(folder: &Path) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("install-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let workshop = Self(folder.join(name));
        std::fs::create_dir_all(&workshop.0)?;
        std::fs::write(workshop.0.join("package.json"), MANIFEST)?;
        std::fs::write(workshop.0.join("package-lock.json"), LOCK)?;
        Ok(workshop)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(error = runtime::chain(&error), "an installation's folder stays behind");
        }
    }
}

fn install(mut npm: Command, folder: &Path, limit: Duration) -> Result<(), Trouble> {
    let log = folder.join("npm.log");
    // The peer "swiper" is in the browser bundle already.
    let mut run = npm
        .args(["ci", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--no-update-notifier"])
        .args(["--loglevel=error", "--fetch-retries=1", "--fetch-timeout=10000"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).map_err(Trouble::Folder)?)
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Trouble::NoNpm,
            _ => Trouble::Failed(error.to_string()),
        })?;
    let status = ended(&mut run, limit).map_err(|error| Trouble::Failed(error.to_string()))?;
    match status {
        None => Err(Trouble::TooSlow(limit)),
        Some(status) if status.success() => Ok(()),
        Some(status) => {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            tracing::warn!(stderr = said, "npm failed");
            // The rest of what npm says names hosts and paths that do not belong on a page.
            let code = said.lines().find_map(|line| line.split_once("code ").map(|(_, code)| code.trim().to_owned()));
            Err(Trouble::Failed(code.unwrap_or_else(|| status.to_string())))
        }
    }
}

/// How it ended; nothing if it had to be stopped.
fn ended(run: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        if let Some(status) = run.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() >= limit {
            run.kill()?;
            run.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    const CONTENT: &str = "renderer";

    fn sha256() -> String {
        digest(&SHA256, CONTENT.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// An npm that runs `script`.
    fn npm(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    fn no_npm() -> Command {
        Command::new("/no/such/npm")
    }

    fn writing(content: &str) -> String {
        format!(
            "test -f package.json && test -f package-lock.json || exit 7\nmkdir -p node_modules/adaptivecards/dist\n\
             printf %s '{content}' > node_modules/adaptivecards/dist/{BUNDLE}"
        )
    }

    fn attempt(folder: &Path, npm: Command) -> Result<Bytes, String> {
        let limit = Duration::from_secs(5);
        from_cache_or(npm, folder, limit, &sha256()).map_err(|trouble| trouble.to_string())
    }

    fn names(folder: &Path) -> Vec<String> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_npm_brings_is_kept_and_only_fetched_once() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        assert_eq!(attempt(&cache, npm(&writing(CONTENT))), Ok(Bytes::from(CONTENT)));
        assert_eq!(names(&cache), ["node_modules"]);
        assert_eq!(attempt(&cache, no_npm()), Ok(Bytes::from(CONTENT)));
    }

    #[test]
    fn a_damaged_cache_is_fetched_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        attempt(&cache, npm(&writing(CONTENT))).unwrap();
        std::fs::write(cache.join("node_modules/adaptivecards/dist").join(BUNDLE), "half").unwrap();
        assert_eq!(attempt(&cache, npm(&writing(CONTENT))), Ok(Bytes::from(CONTENT)));
    }

    #[test]
    fn trouble_is_named_and_leaves_nothing_behind() {
        let table = [
            (writing("other"), "npm brought something else than adaptivecards 3.0.6"),
            ("echo 'npm error code ENOTFOUND' >&2; exit 1".to_owned(), "npm failed: ENOTFOUND"),
            ("exit 3".to_owned(), "npm failed: exit status: 3"),
        ];
        for (script, expected) in table {
            let dir = tempfile::tempdir().unwrap();
            let cache = dir.path().join("cache");
            assert_eq!(attempt(&cache, npm(&script)), Err(expected.to_owned()));
            assert_eq!(names(&cache), Vec::<String>::new());
        }
        let dir = tempfile::tempdir().unwrap();
        let missing = attempt(dir.path(), no_npm());
        assert_eq!(missing, Err("there is no npm on this machine".to_owned()));
    }

    #[test]
    fn an_npm_that_hangs_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let limit = Duration::from_millis(50);
        let answer = from_cache_or(npm("exec sleep 60"), &dir.path().join("cache"), limit, &sha256());
        assert!(matches!(answer, Err(Trouble::TooSlow(_))), "{answer:?}");
    }

    #[test]
    fn the_lock_file_pins_what_we_serve() {
        let lock: serde_json::Value = serde_json::from_str(LOCK).unwrap();
        let package = &lock["packages"]["node_modules/adaptivecards"];
        assert_eq!(package["version"], VERSION);
        assert!(package["integrity"].as_str().is_some_and(|digest| digest.starts_with("sha512-")));
        assert!(!LOCK.contains("://"), "the registry is whichever npm is set up for");
    }
}
