//! The stand-in that others maintain, as a child process on a loopback port.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context as _;

/// Set to the path of the executable by whoever keeps it elsewhere.
const VARIABLE: &str = "PAGERBRIDGE_MINISTACK";

const INSTALL: &str =
    "python3 -m venv tests/.tools/ministack && tests/.tools/ministack/bin/pip install ministack==1.5.33";

/// A running ministack; killed when dropped.
pub(crate) struct Ministack {
    process: Child,
    pub(crate) url: String,
    _temporary: tempfile::TempDir,
}

impl Ministack {
    /// Returns when it listens.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let temporary = tempfile::tempdir()?;
        let executable = executable()?;
        let process = Command::new(&executable)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("SERVICES", "sqs,secretsmanager,dynamodb")
            .env("LOG_LEVEL", "INFO")
            .env("PERSIST_STATE", "0")
            .env("PYTHONUNBUFFERED", "1")
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be started", executable.display()))?;
        let mut started = Self { process, url: format!("http://127.0.0.1:{port}"), _temporary: temporary };
        started.wait_until_it_listens()?;
        Ok(started)
    }

    /// Its log says so. The log is read to its end, for a full pipe would stop it.
    fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let log = self.process.stderr.take().context("no log")?;
        let (lines, log_lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let mut seen = Vec::new();
        loop {
            match log_lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) if line.contains("Running on http") => return Ok(()),
                Ok(line) => seen.push(line),
                Err(_) => anyhow::bail!("ministack did not start:\n{}", seen.join("\n")),
            }
        }
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to be told by")]
fn executable() -> anyhow::Result<PathBuf> {
    if let Ok(path) = std::env::var(VARIABLE) {
        return Ok(path.into());
    }
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/.tools/ministack/bin/ministack");
    anyhow::ensure!(
        installed.exists(),
        "ministack is not installed: run tests/run, or in the workspace's root `{INSTALL}`, or set {VARIABLE} to its path"
    );
    Ok(installed)
}
