//! What a program prints.

use std::time::Duration;

use sabot_toxics::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Source;
use crate::experiment::action::output;

/// A program and its arguments; no shell reads them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program, then its arguments.
    pub argv: Vec<String>,
    /// Which number it gives.
    #[serde(default)]
    pub value: CommandValue,
}

/// Which number a program gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CommandValue {
    /// What it prints; it has to print a number and nothing else.
    #[default]
    Output,
    /// 1 if it ends with exit code 0, else 0.
    Success,
}

impl Source for Command {
    async fn sample(&self, limit: Duration) -> Result<f64, String> {
        let printed = output(&self.argv, limit).await;
        match self.value {
            CommandValue::Success => Ok(f64::from(u8::from(printed.is_ok()))),
            CommandValue::Output => {
                let printed = printed?;
                printed.trim().parse().map_err(|_| {
                    let told: String = printed.trim().chars().take(60).collect();
                    format!("it printed `{told}`, which is no number")
                })
            }
        }
    }

    fn told(&self) -> String {
        self.argv.join(" ")
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.argv.is_empty() {
            return Err(Invalid::new("argv", "names no program; write it as [program, argument, …]"));
        }
        Ok(())
    }
}
