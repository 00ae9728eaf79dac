//! Where the running services are, for commands that talk to them.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use zeroize::Zeroizing;

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

    /// File with the API key to call with [environment: KIKI_API_KEY, the key itself]
    #[arg(long, value_name = "FILE", global = true)]
    api_key_file: Option<PathBuf>,
}

/// The variable with the API key. Command lines are seen by everybody: there is no flag for it.
const API_KEY: &str = "KIKI_API_KEY";
/// Bytes of a file with a key.
const KEY_FILE_BYTES_MAX: u64 = 16 * 1024;

impl ServerArgs {
    /// The headers of every call: the key, where there is one.
    ///
    /// # Errors
    /// The file cannot be read, or what is in it is no key or token.
    pub fn headers(&self) -> Result<HeaderMap, CliError> {
        let (key, from) = match &self.api_key_file {
            Some(path) => {
                let named = |e: std::io::Error| {
                    CliError::usage(format!("--api-key-file {}: {e}", path.display()))
                };
                let file = std::fs::File::open(path).map_err(named)?;
                let mut text = Zeroizing::new(String::new());
                file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(named)?;
                (text, path.display().to_string())
            }
            None => {
                (Zeroizing::new(std::env::var(API_KEY).unwrap_or_default()), API_KEY.to_owned())
            }
        };
        let mut headers = HeaderMap::new();
        let key = key.trim();
        if key.is_empty() && self.api_key_file.is_none() {
            return Ok(headers);
        }
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic());
        let bearer = Zeroizing::new(format!("Bearer {key}"));
        let value = HeaderValue::from_str(&bearer).ok().filter(|_| plain);
        // What it is instead is not repeated: it may be a key.
        let mut value = value.ok_or_else(|| CliError::usage(format!("{from}: is no API key")))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(headers)
    }

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
