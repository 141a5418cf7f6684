//! The inputs that mutations begin with: files in the tree, written by hand, and those that once broke something.

use std::path::{Path, PathBuf};

use crate::targets::stored;

/// Where the files of all targets are.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The inputs of a target. A file that ends in `.list` has one on each line.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let mut inputs = vec![Vec::new()];
    // The store keeps items for its own tests.
    match target {
        "stored_items" => inputs.extend(stored::kept()),
        "stored_values" => inputs.extend(stored::kept_values()),
        _ => {}
    }
    let Ok(files) = std::fs::read_dir(folder().join(target)) else { return inputs };
    let mut files: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    files.sort();
    for file in files {
        let Ok(content) = std::fs::read(&file) else { continue };
        if file.extension().is_some_and(|end| end == "list") {
            inputs.extend(content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
        } else {
            inputs.push(content);
        }
    }
    inputs
}
