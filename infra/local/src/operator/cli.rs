//! The AWS CLI: it knows profiles, single sign-on and every other way to credentials, so that we need not.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::process::Command;

use super::Which;

/// How the AWS CLI is called.
#[derive(Debug, Clone)]
pub struct AwsCli {
    program: PathBuf,
    global: Vec<String>,
}

impl AwsCli {
    /// The `aws` that is found in the path.
    #[must_use]
    pub fn new(which: &Which) -> Self {
        Self::at(PathBuf::from("aws"), which.region.as_deref(), which.profile.as_deref())
    }

    /// Another program that answers as the AWS CLI does.
    #[must_use]
    pub fn at(program: PathBuf, region: Option<&str>, profile: Option<&str>) -> Self {
        let flag = |name: &str, value: Option<&str>| value.map(|value| [name.to_owned(), value.to_owned()]);
        let global = [flag("--region", region), flag("--profile", profile)].into_iter().flatten().flatten().collect();
        Self { program, global }
    }

    /// What a call answers.
    ///
    /// # Errors
    /// The CLI is missing, refuses, or answers no JSON. Its own words are in the error; it never repeats credentials there.
    pub async fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let called = Command::new(&self.program).args(arguments).args(&self.global).output().await;
        let output = called.with_context(|| {
            format!("the AWS CLI cannot be started as {}; please install it and log in", self.program.display())
        })?;
        let what = arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        if !output.status.success() {
            bail!("aws {what}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("aws {what} answered no JSON"))
    }
}
