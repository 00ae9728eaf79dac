//! Where the running services are, for commands that talk to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use super::config_args::ConfigArgs;
use super::exit::CliError;
use crate::config::Server;

/// Flags that say which node to talk to.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct ServerArgs {
    /// Configuration file of the node to talk to [environment: KIKI_CONFIG]
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// Port offset of the node to talk to
    #[arg(long, value_name = "N", global = true)]
    port_offset: Option<u16>,
}

impl ServerArgs {
    /// The base URL: the one that was given, or that of the configured address.
    ///
    /// # Errors
    /// The URL is none that can be used, or the configuration is wrong.
    pub fn url(
        &self,
        given: Option<&str>,
        configured: fn(&Server) -> SocketAddr,
    ) -> Result<String, CliError> {
        if let Some(url) = given {
            let parsed = reqwest::Url::parse(url);
            return match parsed.as_ref().map(reqwest::Url::scheme) {
                Ok("http" | "https") => Ok(url.trim_end_matches('/').to_owned()),
                _ => Err(CliError::usage(format!(
                    "{url}: expected a URL such as http://localhost:8081"
                ))),
            };
        }
        let (config, port_offset) = (self.config.clone(), self.port_offset);
        let args = ConfigArgs { config, port_offset, ..ConfigArgs::default() };
        let server = args.load()?.config.server;
        let mut addr = configured(&server);
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        Ok(format!("{}://{addr}", server.scheme()))
    }
}
