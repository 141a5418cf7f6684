//! `cargo run -p local`: PagerBridge on this machine, with everything around it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use local::operator::Command;
use local::{LocalConfig, Ports, Pump, Side};
use runtime::Clock;
use url::Url;

/// Runs PagerBridge on embedded stand-ins for AWS, PagerDuty and Teams, and shows them on one web page.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Flags {
    #[command(subcommand)]
    command: Option<Command>,
    /// Port of PagerBridge's functions and of the web page.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Port of the embedded DynamoDB, SQS and Secrets Manager.
    #[arg(long, default_value_t = 3001)]
    aws_port: u16,
    /// Port of the PagerDuty simulator.
    #[arg(long, default_value_t = 3002)]
    pagerduty_port: u16,
    /// Port of the Teams simulator.
    #[arg(long, default_value_t = 3003)]
    teams_port: u16,
    /// Address to listen on. Everything here trusts whoever can reach it: keep it on this machine.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Keep the state in this folder; without it everything is forgotten at the end.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Use this PagerDuty (REST and OAuth) instead of the simulator.
    #[arg(long)]
    pagerduty: Option<Url>,
    /// Use this Teams (token endpoint, OpenID metadata and connector) instead of the simulator.
    #[arg(long)]
    teams: Option<Url>,
    /// Let Microsoft's Agents Playground be the Teams: the address of its connector.
    #[arg(long, num_args = 0..=1, default_missing_value = "http://localhost:56150/_connector")]
    playground: Option<Url>,
    /// External address of the functions, if it is not the one that is listened on (for example a tunnel).
    #[arg(long)]
    public_url: Option<Url>,
    /// File with the secret (JSON as in the deploy guide), for endpoints that are not simulators.
    #[arg(long)]
    secrets: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    runtime::log_to_stderr();
    let flags = Flags::parse();
    if let Some(command) = flags.command {
        return Ok(if Box::pin(command.run()).await? { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let secrets = flags.secrets.map(std::fs::read_to_string).transpose()?;
    #[expect(clippy::disallowed_methods, reason = "the environment of design section 5 overrides the stand-ins")]
    let environment = std::env::vars().filter(|(name, _)| local::is_override(name)).collect();
    let running = local::compose(LocalConfig {
        clock: Clock::System,
        bind: flags.bind,
        ports: Ports { app: flags.port, aws: flags.aws_port, pagerduty: flags.pagerduty_port, teams: flags.teams_port },
        data_dir: flags.data_dir,
        pagerduty: flags.pagerduty.map_or(Side::Simulator, Side::At),
        teams: flags.teams.map_or(Side::Simulator, Side::At),
        playground: flags.playground,
        public_url: flags.public_url,
        secrets,
        environment,
        pump: Pump::Always,
        page: true,
        calls: None,
        demo: true,
    })
    .await?;
    print_addresses(&running);
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "this is what the command is run for")]
fn print_addresses(running: &local::Running) {
    println!("\nPagerBridge is running. Open this page:\n\n    {}\n", running.page_url());
    for (name, url) in running.addresses() {
        println!("  {name:<22} {url}");
    }
    println!("\nCtrl-C ends everything.\n");
}
