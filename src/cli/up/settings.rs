//! What each part of this process is told of the configuration.

use std::net::SocketAddr;
use std::time::Duration;

use crate::actors::cluster::{ClusterSettings, LinkSettings};
use crate::actors::flow::FlowTerms;
use crate::actors::shield::ShieldTerms;
use crate::actors::shield::audit::AuditTerms;
use crate::actors::shield::webhooks::HookTerms;
use crate::actors::value::ValueTerms;
use crate::cli::exit::CliError;
use crate::config::{Config, Leases};
use crate::models::cluster::member::Identity;
use crate::models::cluster::node::Roles;
use crate::models::cluster::terms::ClusterTerms;
use crate::models::shield::terms::WindowCap;
use crate::planted::Planted;

/// This process as a node: with links one among others, else the only one of its store.
pub(super) fn node(config: &Config) -> ClusterSettings {
    let links = links(config);
    let address = links.as_ref().map(|links| links.advertise.clone());
    ClusterSettings {
        terms: cluster_terms(config),
        me: Identity {
            name: config.cluster.node.clone(),
            // That it is no address of links tells others that this node speaks with nobody.
            address: address.unwrap_or_else(|| {
                format!("{}://{}", config.server.scheme(), config.server.shield_addr())
            }),
            roles: Roles::ALL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        data_dir: config.store.data_dir.clone(),
        links,
    }
}

fn cluster_terms(config: &Config) -> ClusterTerms {
    match config.cluster.leases {
        Leases::Default => ClusterTerms::default(),
        Leases::Fast => ClusterTerms::fast(),
    }
}

/// What links need, where this node speaks with others.
pub(super) fn links(config: &Config) -> Option<LinkSettings> {
    let (cluster, server) = (&config.cluster, &config.server);
    let listen = SocketAddr::new(server.bind, cluster.link_port.saturating_add(server.port_offset));
    let advertise = match cluster.advertise.is_empty() {
        true => listen.to_string(),
        false => cluster.advertise.as_str().to_owned(),
    };
    cluster.has_links().then(|| LinkSettings {
        listen,
        advertise,
        node: cluster.node.clone(),
        ca_file: cluster.ca_file.clone(),
        cert_file: cluster.cert_file.clone(),
        key_file: cluster.key_file.clone(),
        lease: Duration::from_micros(cluster_terms(config).lease_us.unsigned_abs()),
    })
}

/// SyncShield's settings.
pub fn terms(config: &Config) -> ShieldTerms {
    let shield = &config.shield;
    let length_us = shield.window_seconds.micros();
    let early = Planted::WindowReturnedEarly.is_made();
    ShieldTerms {
        limits: shield.limits(),
        window: WindowCap {
            amount: shield.window_cap,
            length_us: if early { length_us / 10 } else { length_us },
        },
        default_account: shield.default_account.clone(),
        default_currency: shield.default_currency,
        hold_ttl_us: shield.hold_ttl_s.micros(),
        idle_after: config.kernel.passivate_after_s.duration(),
        resident_max: config.kernel.resident_max,
        mailbox_max: u32::try_from(config.kernel.entity_mailbox_capacity).unwrap_or(u32::MAX),
        audit: AuditTerms {
            dir: config.audit.dir_or(&config.store.data_dir).to_owned(),
            retention_us: i64::from(config.audit.retention_days) * 86_400_000_000,
            verify_every: config.audit.verify_every_s.duration(),
        },
        webhooks: HookTerms {
            allow_private: config.webhooks.allow_private,
            patience: config.webhooks.timeout_ms.duration(),
            schedule: config.webhooks.schedule(),
        },
    }
}

/// SyncValue's settings.
pub fn value_terms(config: &Config) -> ValueTerms {
    let value = &config.value;
    ValueTerms {
        default_account: config.shield.default_account.clone(),
        horizon_days: value.horizon_days,
        predictors: value.predictors,
        batch_max: value.batch_max,
        batch_wait: value.batch_wait_ms.duration(),
        patience: value.predict_timeout_ms.duration(),
        cache_max: value.cache_max,
        cache_ttl: value.cache_ttl_s.duration(),
        outcome_grace_days: value.outcome_grace_days,
        idle_after: config.kernel.passivate_after_s.duration(),
        resident_max: config.kernel.resident_max,
        mailbox_max: u32::try_from(config.kernel.entity_mailbox_capacity).unwrap_or(u32::MAX),
        call_patience: config.server.request_timeout_ms.duration(),
        tolerance: Default::default(),
        mlflow: config.mlflow.clone(),
    }
}

/// SyncFlow's settings. Notices are signed with a key of their own, made of the secret of tokens.
pub fn flow_terms(config: &Config, secret: &[u8]) -> Result<FlowTerms, CliError> {
    let flow = &config.flow;
    let mut notice_key = zeroize::Zeroizing::new(vec![0_u8; 32]);
    hkdf::Hkdf::<sha2::Sha256>::new(None, secret)
        .expand(b"kiki flow notices", &mut notice_key)
        .map_err(CliError::failed)?;
    let base = flow.notice_base_url.trim_end_matches('/');
    let notice_base_url = match base.is_empty() {
        true => format!("{}://{}", config.server.scheme(), config.server.flow_addr()),
        false => base.to_owned(),
    };
    Ok(FlowTerms {
        default_account: config.shield.default_account.clone(),
        seat: flow.seat.clone(),
        notice_base_url,
        notice_key,
        tcf_vendor: Some(flow.tcf_vendor_id).filter(|id| *id > 0),
        complete_chain: flow.require_complete_chain,
        index_every: flow.index_every_ms.duration(),
        tmax: flow.tmax_ms.duration(),
        tmax_margin: flow.tmax_margin_ms.duration(),
        bids_max: flow.bids_max,
        hold_ttl_us: flow.hold_ttl_s.micros(),
        ltv_cache_ttl: flow.ltv_cache_ttl_s.duration(),
        ltv_cache_max: flow.ltv_cache_max,
        ltv_patience: flow.ltv_timeout_ms.duration(),
        frequency_pairs: flow.frequency_pairs,
        sample_millionths: (flow.sample_ratio.share() * 1e6).round() as u32,
        retention_us: i64::from(flow.decision_retention_days) * 86_400_000_000,
        journal_max: flow.journal_max,
        data_dir: config.store.data_dir.clone(),
        idle_after: config.kernel.passivate_after_s.duration(),
        resident_max: config.kernel.resident_max,
        mailbox_max: u32::try_from(config.kernel.entity_mailbox_capacity).unwrap_or(u32::MAX),
        call_patience: config.server.request_timeout_ms.duration(),
    })
}
