//! Who may call.

use std::net::IpAddr;

use super::address::HttpUrl;
use super::choice::AuthMode;
use super::raw::Raw;
use super::section::section;
use super::setting::{Seconds, Setting, quoted};
use crate::access::{Alg, ClaimNames, VerifierTerms};

section! {
    /// Who may call.
    Auth "auth" {
        /// Whether callers have to say who they are.
        mode: AuthMode;
        /// Allows listening beyond this machine without authentication.
        allow_open: bool;
        /// `iss` of the tokens that are taken; empty for no tokens.
        oidc_issuer: String, "OIDC_ISSUER";
        /// `aud` of the tokens that are taken.
        oidc_audience: String, "OIDC_AUDIENCE";
        /// Where the issuer publishes its keys.
        oidc_jwks_url: HttpUrl, "OIDC_JWKS_URL";
        /// Algorithms of signatures that are taken.
        oidc_algorithms: Algorithms;
        /// How far the clocks of issuer and this machine may be apart.
        oidc_leeway_s: Seconds ["0" "300"];
        /// The claim with the role.
        oidc_role_claim: String;
        /// The claim with the accounts.
        oidc_accounts_claim: String;
        /// The claim with the services.
        oidc_services_claim: String;
    }
}

impl Auth {
    /// Whether callers of a server that listens there have to say who they are.
    pub fn required(&self, bind: IpAddr) -> bool {
        match self.mode {
            AuthMode::Required => true,
            AuthMode::Open => false,
            AuthMode::Auto => !bind.is_loopback() && !self.allow_open,
        }
    }

    /// What tokens must be; `None` where none are taken.
    pub fn verifier(&self) -> Option<VerifierTerms> {
        (!self.oidc_issuer.is_empty()).then(|| VerifierTerms {
            algorithms: self.oidc_algorithms.0.clone(),
            leeway_s: u32::try_from(self.oidc_leeway_s.micros() / 1_000_000).unwrap_or(0),
            claims: ClaimNames {
                role: self.oidc_role_claim.clone(),
                accounts: self.oidc_accounts_claim.clone(),
                services: self.oidc_services_claim.clone(),
                ..ClaimNames::default()
            },
            ..VerifierTerms::new(&self.oidc_issuer, &self.oidc_audience)
        })
    }

    /// Whether keys come over a way that nobody can write on: TLS, or this machine.
    pub fn jwks_is_safe(&self) -> bool {
        let Ok(url) = reqwest::Url::parse(self.oidc_jwks_url.as_str()) else { return false };
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let here = bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        url.scheme() == "https" || here
    }
}

/// Algorithms of signatures, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Algorithms(Vec<Alg>);

impl Setting for Algorithms {
    const EXPECTS: &'static str = "algorithms such as \"RS256, ES256, EdDSA\"";

    fn parse(raw: &Raw) -> Result<Option<Self>, String> {
        if !raw.is_string() {
            return Ok(None);
        }
        let named = |name: &str| Alg::ALL.into_iter().find(|alg| alg.as_str() == name.trim());
        let found: Option<Vec<Alg>> = raw.text.split(',').map(named).collect();
        Ok(found.map(Self))
    }

    fn literal(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|alg| alg.as_str()).collect();
        quoted(&names.join(", "))
    }
}
