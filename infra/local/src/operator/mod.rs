//! What an operator does with a deployed stack from their own machine: look for what is wrong, redrive dead letters, and seal anew
//! what older keys have sealed.

mod cli;
mod doctor;
mod redrive;
mod reseal;
mod stack;

use clap::{Args, Subcommand};

pub use cli::AwsCli;
pub use doctor::{Finding, State, examine};
pub use redrive::redrive;
pub use reseal::{Resealed, reseal};
pub use stack::Stack;

/// A command for a deployed stack.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Checks everything that can be wrong with a deployed stack, and says how to put it right.
    Doctor(Which),
    /// Moves the messages of the dead-letter queue back into the queue.
    Redrive {
        /// The stack.
        #[command(flatten)]
        which: Which,
        /// Only count them.
        #[arg(long)]
        dry_run: bool,
    },
    /// Seals people's tokens and webhook secrets with the current keys, so that older ones can be dropped.
    Reseal {
        /// The stack.
        #[command(flatten)]
        which: Which,
        /// Only count what older keys have sealed.
        #[arg(long)]
        check: bool,
    },
}

/// Which stack, and as whom. The AWS CLI finds the credentials, so profiles and single sign-on work as they do there.
#[derive(Debug, Args)]
pub struct Which {
    /// Name of the CloudFormation stack.
    #[arg(long)]
    pub stack: String,
    /// AWS region, if it is not the one of the AWS CLI's configuration.
    #[arg(long)]
    pub region: Option<String>,
    /// Profile of the AWS CLI.
    #[arg(long)]
    pub profile: Option<String>,
}

impl Command {
    /// Does it. `false`: something is wrong, as was printed.
    ///
    /// # Errors
    /// The stack cannot be found or reached.
    pub async fn run(self) -> anyhow::Result<bool> {
        match self {
            Self::Doctor(which) => {
                let stack = Stack::find(&AwsCli::new(&which), &which.stack).await?;
                let findings = Box::pin(examine(&stack)).await;
                print(&format!("{}\n", stack.heading()));
                findings.iter().for_each(|finding| print(&finding.to_string()));
                let wrong = findings.iter().filter(|finding| finding.is_wrong()).count();
                print(&match wrong {
                    0 => "\nNothing is wrong.".to_owned(),
                    1 => "\n1 thing is wrong.".to_owned(),
                    wrong => format!("\n{wrong} things are wrong."),
                });
                Ok(wrong == 0)
            }
            Self::Redrive { which, dry_run } => {
                let stack = Stack::find(&AwsCli::new(&which), &which.stack).await?;
                print(&redrive(&stack, dry_run).await?);
                Ok(true)
            }
            Self::Reseal { which, check } => {
                let stack = Stack::find(&AwsCli::new(&which), &which.stack).await?;
                let done = reseal(&stack.app, check).await?;
                print(&done.text);
                Ok(done.is_complete)
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command is run for")]
fn print(text: &str) {
    println!("{text}");
}
