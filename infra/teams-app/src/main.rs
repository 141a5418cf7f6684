//! `cargo run -p teams-app -- --app-id … --domain …`: makes the app package that is uploaded to Teams.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use teams_app::{Package, Wanted};

/// Makes the Teams app package: manifest and icons in one zip.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Flags {
    /// Application (client) id of the bot's Entra application, as the parameter `TeamsAppId` of the stack.
    #[arg(long)]
    app_id: String,
    /// Host of PagerBridge's public URL, as in bridge.example.com.
    #[arg(long)]
    domain: String,
    /// Id of the Teams app, if another app in your tenant has the bot's id already.
    #[arg(long)]
    teams_app_id: Option<String>,
    /// What people see and mention, at most 30 characters.
    #[arg(long, default_value = "PagerBridge")]
    name: String,
    /// Who runs it, at most 32 characters.
    #[arg(long, default_value = "Your operations team")]
    developer_name: String,
    /// Where people read about it; https. Without it, the configuration page.
    #[arg(long)]
    website: Option<String>,
    /// Your privacy statement; https. Without it, the website.
    #[arg(long)]
    privacy_url: Option<String>,
    /// Your terms of use; https. Without it, the website.
    #[arg(long)]
    terms_url: Option<String>,
    /// Version of the package; Teams takes an update only if it grows.
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    app_version: String,
    /// The file to write.
    #[arg(long, default_value = "pagerbridge-teams.zip")]
    out: PathBuf,
}

#[expect(clippy::print_stdout, reason = "this is what the command is run for")]
fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let package = Package::new(&Wanted {
        app_id: flags.app_id,
        domain: flags.domain,
        teams_app_id: flags.teams_app_id,
        name: flags.name,
        developer_name: flags.developer_name,
        website: flags.website,
        privacy_url: flags.privacy_url,
        terms_url: flags.terms_url,
        version: flags.app_version,
    })?;
    std::fs::write(&flags.out, package.zip()?)
        .with_context(|| format!("--out {} cannot be written", flags.out.display()))?;
    println!("{}: version {}, {} commands", flags.out.display(), package.version(), package.commands());
    println!(
        "Upload it in the Teams admin center (Teams apps, Manage apps, Upload new app); see infra/docs/teams-app.md."
    );
    Ok(())
}
