//! Where the services find each other when they run in processes of their own.

use super::address::{HostPort, HttpUrl};
use super::section::section;

section! {
    /// Where the services find each other when they run in processes of their own.
    Peers "peers" {
        /// SyncShield's check, as a whole URL.
        shield_url: HttpUrl, "SHIELD_URL";
        /// SyncValue's gRPC address.
        ltv_grpc_addr: HostPort, "LTV_GRPC_ADDR";
    }
}
