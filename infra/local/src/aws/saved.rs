//! State that survives a restart: the whole value as one JSON file, written whenever a call changed it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value, and the file that it is kept in if there is one.
pub(super) struct Saved<T> {
    state: Mutex<State<T>>,
    file: Option<PathBuf>,
}

struct State<T> {
    value: T,
    written: Vec<u8>,
}

impl<T: Serialize + DeserializeOwned + Default> Saved<T> {
    /// Reads the value from `name` in `folder`, or starts with the default one.
    ///
    /// # Errors
    /// The file is there but cannot be read; the message names it.
    pub(super) fn open(folder: Option<&Path>, name: &str) -> anyhow::Result<Self> {
        let file = folder.map(|folder| folder.join(name));
        let written = match &file {
            Some(file) if file.exists() => {
                fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?
            }
            _ => Vec::new(),
        };
        let value = match (&file, written.is_empty()) {
            (Some(file), false) => serde_json::from_slice(&written)
                .with_context(|| format!("{} is not from this version; delete it to start afresh", file.display()))?,
            _ => T::default(),
        };
        Ok(Self { state: Mutex::new(State { value, written }), file })
    }

    /// Looks at the value.
    pub(super) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock().value)
    }

    /// Changes the value and keeps the change. If the file cannot be written the change is lost at the end of the process,
    /// which the log says.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state.value);
        if let Some(file) = &self.file
            && let Err(error) = state.keep(file)
        {
            tracing::error!(error = format!("{error:#}"), file = %file.display(), "state of the AWS stand-in not kept");
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Serialize> State<T> {
    fn keep(&mut self, file: &Path) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec(&self.value)?;
        if bytes == self.written {
            return Ok(());
        }
        let new = file.with_extension("new");
        private(&new)?.write_all(&bytes)?;
        fs::rename(&new, file)?;
        self.written = bytes;
        Ok(())
    }
}

/// The secrets' file holds what opens somebody's accounts, if real ones are tried out locally.
fn private(file: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}
