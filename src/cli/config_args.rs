//! The flags of every command that needs the configuration.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::exit::CliError;
use crate::config::{Environment, Loaded, Loader, Problems};

/// Flags over the file, `.env` and the environment.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Configuration file in TOML, read over the built-in defaults [environment: KIKI_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Added to every port, so that several nodes fit on one machine
    #[arg(long, value_name = "N")]
    pub port_offset: Option<u16>,

    /// Folder of the embedded database and of generated secrets
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Address that every service listens on
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<IpAddr>,

    /// Any key of the configuration, as in --set shield.window_cap=800 (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

impl ConfigArgs {
    /// A loader with the file, the variables and these flags.
    ///
    /// # Errors
    /// The `.env` file cannot be read.
    pub fn loader(&self) -> Result<Loader, CliError> {
        let environment = Environment::process().map_err(|problem| Problems(vec![problem]))?;
        let mut loader = Loader::new().file(self.config.as_deref()).environment(environment);
        // SyncShield is the one role over HTTP that a process of this version plays.
        loader = loader.one_role("shield");
        for (key, value) in &self.set {
            loader = loader.flag(key, value, "--set");
        }
        if let Some(offset) = self.port_offset {
            loader = loader.flag("server.port_offset", offset, "--port-offset");
        }
        if let Some(folder) = &self.data_dir {
            loader = loader.flag("store.data_dir", folder.display(), "--data-dir");
        }
        if let Some(bind) = self.bind {
            loader = loader.flag("server.bind", bind, "--bind");
        }
        Ok(loader)
    }

    /// The checked configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it, with exit code 2.
    pub fn load(&self) -> Result<Loaded, CliError> {
        Ok(self.loader()?.load()?)
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}
