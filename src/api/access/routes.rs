//! Every route of every listener with what it asks for. A route that is not here is answered 404 (or
//! 405) where authentication is on: forgetting it never opens it.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::http::Method;

use crate::models::access::Right;

/// A listener of the process; its name is that of the service in scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    Shield,
    Health,
    Admin,
    Value,
    Flow,
    /// Every gRPC service; what belongs to which is [`Rule::service`].
    Grpc,
}

impl Listener {
    /// Those that speak HTTP, in their order.
    pub const ALL: [Listener; 5] =
        [Listener::Shield, Listener::Health, Listener::Admin, Listener::Value, Listener::Flow];

    pub fn service(self) -> &'static str {
        match self {
            Listener::Shield => "shield",
            Listener::Health => "health",
            Listener::Admin => "admin",
            Listener::Value | Listener::Grpc => "value",
            Listener::Flow => "flow",
        }
    }

    pub fn rules(self) -> &'static [Rule] {
        match self {
            Listener::Shield => SHIELD,
            Listener::Health => HEALTH,
            Listener::Admin => ADMIN,
            Listener::Value => VALUE,
            Listener::Flow => FLOW,
            Listener::Grpc => GRPC,
        }
    }
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it says that the process is there, or how it is spoken to.
    Public,
    /// A right, for any account; the handler asks for the account.
    Right(Right),
    /// A right for all accounts: it shows or changes the whole installation.
    All(Right),
}

/// A route.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub method: &'static str,
    /// The template, as the router has it.
    pub path: &'static str,
    pub needs: Needs,
    /// The event that it is audited as. Money (check, settle, release, spend), people and keys have
    /// their own records.
    pub event: Option<&'static str>,
}

use Needs::{All, Public};
use Right::{Administer, Bid, Inject, Operate, Read};

const fn rule(method: &'static str, path: &'static str, needs: Needs) -> Rule {
    Rule { method, path, needs, event: None }
}

/// One that is audited.
const fn acts(method: &'static str, path: &'static str, needs: Needs, event: &'static str) -> Rule {
    Rule { method, path, needs, event: Some(event) }
}

const READ: Needs = Needs::Right(Read);
const OPERATE: Needs = Needs::Right(Operate);
const ADMINISTER: Needs = Needs::Right(Administer);
const INJECT: Needs = All(Inject);

const SHIELD: &[Rule] = &[
    rule("GET", "/", Public),
    rule("GET", "/health", Public),
    rule("GET", "/ready", Public),
    rule("GET", "/metrics", All(Read)),
    rule("GET", "/docs", Public),
    rule("GET", "/docs/", Public),
    rule("GET", "/docs/{*rest}", Public),
    rule("GET", "/openapi.json", Public),
    // the documented calls of old
    rule("GET", "/spend", OPERATE),
    rule("POST", "/spend", OPERATE),
    rule("GET", "/check", READ),
    acts("POST", "/api/v1/allocate", OPERATE, "allocation.set"),
    rule("GET", "/api/v1/budget/{campaign_id}", READ),
    rule("POST", "/api/v1/check", OPERATE),
    // holds
    rule("POST", "/api/v1/check/batch", OPERATE),
    rule("GET", "/api/v1/holds/{id}", READ),
    rule("POST", "/api/v1/holds/{id}/settle", OPERATE),
    rule("POST", "/api/v1/holds/{id}/release", OPERATE),
    // allocations
    rule("GET", "/api/v1/allocations", READ),
    acts("POST", "/api/v1/allocations/{campaign_id}/pause", OPERATE, "allocation.paused"),
    acts("POST", "/api/v1/allocations/{campaign_id}/resume", OPERATE, "allocation.resumed"),
    acts("POST", "/api/v1/allocations/{campaign_id}/top-up", OPERATE, "allocation.topped_up"),
    acts("POST", "/api/v1/allocations/{campaign_id}/end", OPERATE, "allocation.ended"),
    // bookings
    rule("POST", "/api/v1/spend", OPERATE),
    rule("GET", "/api/v1/budget/{campaign_id}/ledger", READ),
    // corrections have records of their own, and ask for two people
    rule("GET", "/api/v1/corrections", READ),
    rule("POST", "/api/v1/corrections", OPERATE),
    rule("GET", "/api/v1/corrections/{id}", READ),
    rule("POST", "/api/v1/corrections/{id}/approve", OPERATE),
    rule("POST", "/api/v1/corrections/{id}/refuse", OPERATE),
    // webhooks: their URLs may hold secrets of the receivers
    rule("GET", "/api/v1/webhooks", OPERATE),
    acts("POST", "/api/v1/webhooks", ADMINISTER, "webhook.created"),
    rule("GET", "/api/v1/webhooks/{id}", OPERATE),
    acts("DELETE", "/api/v1/webhooks/{id}", ADMINISTER, "webhook.deleted"),
    acts("POST", "/api/v1/webhooks/{id}/rotate", ADMINISTER, "webhook.secret_rotated"),
    acts("POST", "/api/v1/webhooks/{id}/test", OPERATE, "webhook.tested"),
    // accounts
    rule("GET", "/api/v1/accounts", READ),
    acts("POST", "/api/v1/accounts", All(Administer), "account.created"),
    rule("GET", "/api/v1/accounts/{account}", READ),
    acts("POST", "/api/v1/accounts/{account}/stop", OPERATE, "account.stopped"),
    acts("POST", "/api/v1/accounts/{account}/start", OPERATE, "account.started"),
    rule("GET", "/api/v1/rates", READ),
    acts("PUT", "/api/v1/rates", OPERATE, "rate.set"),
    acts("POST", "/api/v1/restore/resume", All(Administer), "restore.resumed"),
    // people: changes have records of their own
    rule("POST", "/consent/grant", OPERATE),
    rule("POST", "/consent/revoke", OPERATE),
    rule("GET", "/consent/status", READ),
    rule("GET", "/api/v1/consent/check", READ),
    acts("GET", "/api/v1/consent/history", OPERATE, "consent.history_read"),
    rule("POST", "/api/v1/consent/tcf", OPERATE),
    rule("POST", "/dsr/create", OPERATE),
    rule("GET", "/api/v1/dsr", READ),
    rule("GET", "/api/v1/dsr/{id}", READ),
    acts("GET", "/api/v1/dsr/{id}/package", Needs::Right(Administer), "dsr.package_fetched"),
    acts("POST", "/api/v1/dsr/{id}/verify", OPERATE, "dsr.verification_given"),
    acts("POST", "/api/v1/dsr/{id}/complete", OPERATE, "dsr.completion_asked"),
    acts("POST", "/api/v1/dsr/{id}/reject", OPERATE, "dsr.rejection_given"),
    acts("POST", "/api/v1/dsr/{id}/cancel", OPERATE, "dsr.cancellation_given"),
    acts("POST", "/api/v1/dsr/{id}/extend", OPERATE, "dsr.extension_given"),
    acts("POST", "/api/v1/dsr/{id}/lift", OPERATE, "dsr.lift_given"),
    acts("GET", "/compliance/report", READ, "compliance.reported"),
    // the audit log
    rule("GET", "/api/v1/audit", READ),
    acts("GET", "/api/v1/audit/export", READ, "audit.exported"),
    rule("GET", "/api/v1/audit/heads", READ),
    rule("POST", "/api/v1/audit/heads", OPERATE),
    rule("GET", "/api/v1/audit/proof/{index}", READ),
    rule("GET", "/api/v1/audit/consistency", READ),
    rule("GET", "/api/v1/audit/verify", READ),
    rule("POST", "/api/v1/audit/verify", READ),
];

const HEALTH: &[Rule] = &[
    rule("GET", "/", Public),
    rule("GET", "/health", Public),
    rule("GET", "/ready", Public),
    rule("GET", "/metrics", All(Read)),
];

/// What all routes of operators begin with.
pub const ADMIN_API: &str = "/api/admin/";
/// The order to a node, which is sent to that one.
pub const NODE_DRAIN: &str = "/api/admin/cluster/nodes/{name}/drain";
/// The one answer that does not end.
pub const EVENTS: &str = "/api/admin/events";

const ADMIN: &[Rule] = &[
    rule("GET", "/", Public),
    rule("GET", "/health", Public),
    rule("GET", "/ready", Public),
    rule("GET", "/metrics", All(Read)),
    rule("GET", "/docs", Public),
    rule("GET", "/docs/", Public),
    rule("GET", "/docs/{*rest}", Public),
    rule("GET", "/openapi.json", Public),
    rule("GET", "/api/admin/actors", All(Read)),
    rule("GET", "/api/admin/actors/{*path}", All(Read)),
    acts("POST", "/api/admin/actors/{*path}", All(Administer), "admin.actor_ordered"),
    rule("GET", "/api/admin/tree", All(Read)),
    rule("GET", "/api/admin/breakers", All(Read)),
    acts("POST", "/api/admin/breakers/{*path}", All(Administer), "admin.breaker_reset"),
    rule("GET", "/api/admin/cluster", All(Read)),
    rule("GET", "/api/admin/cluster/where", All(Read)),
    acts("POST", NODE_DRAIN, All(Administer), "cluster.node_drained"),
    acts("POST", "/api/admin/cluster/shards/{shard}/move", All(Administer), "cluster.shard_moved"),
    rule("GET", "/api/admin/dead-letters", All(Read)),
    rule("GET", "/api/admin/services", All(Read)),
    rule("GET", EVENTS, All(Read)),
    rule("GET", "/api/admin/audit", All(Read)),
    rule("GET", "/api/admin/faults", All(Read)),
    acts("POST", "/api/admin/faults", INJECT, "fault.set"),
    acts("DELETE", "/api/admin/faults", INJECT, "fault.cleared"),
    acts("DELETE", "/api/admin/faults/{id}", INJECT, "fault.cleared"),
    // Keys within what the caller has itself: an admin of one account makes keys for that one. What is
    // done to a key has a record of its own, written with it.
    rule("GET", "/api/admin/keys", ADMINISTER),
    rule("POST", "/api/admin/keys", ADMINISTER),
    acts("POST", "/api/admin/keys/rotate", All(Administer), "key.rotated"),
    rule("DELETE", "/api/admin/keys/{id}", ADMINISTER),
];

const VALUE: &[Rule] = &[
    rule("GET", "/", Public),
    rule("GET", "/health", Public),
    rule("GET", "/ready", Public),
    rule("GET", "/metrics", All(Read)),
    rule("GET", "/docs", Public),
    rule("GET", "/docs/", Public),
    rule("GET", "/docs/{*rest}", Public),
    rule("GET", "/openapi.json", Public),
    // questions change nothing
    rule("POST", "/api/v1/ltv/predict", READ),
    rule("POST", "/api/v1/ltv/predict/batch", READ),
    acts("POST", "/api/v1/ltv/transactions", OPERATE, "ltv.purchases_imported"),
    rule("GET", "/api/v1/ltv/customers/{customer_id}", READ),
    rule("GET", "/api/v1/ltv/models", READ),
    rule("GET", "/api/v1/ltv/models/{model}", READ),
    rule("GET", "/api/v1/ltv/models/{model}/outcomes", READ),
    acts("POST", "/api/v1/ltv/models/{model}/challenge", OPERATE, "ltv.model_challenged"),
    acts("POST", "/api/v1/ltv/models/{model}/promote", OPERATE, "ltv.model_promoted"),
    acts("DELETE", "/api/v1/ltv/challenger", OPERATE, "ltv.challenge_ended"),
    acts("POST", "/api/v1/ltv/rollback", OPERATE, "ltv.model_rolled_back"),
    rule("GET", "/api/v1/ltv/registry", READ),
    rule("GET", "/api/v1/ltv/fits", READ),
    acts("POST", "/api/v1/ltv/fits", OPERATE, "ltv.fit_ordered"),
    rule("GET", "/api/v1/ltv/fits/{id}", READ),
    acts("DELETE", "/api/v1/ltv/fits/{id}", OPERATE, "ltv.fit_cancelled"),
    rule("GET", "/api/v1/ltv/drift", READ),
    rule("GET", "/api/v1/ltv/health", READ),
    rule("GET", "/api/v1/ltv/experiments", READ),
    acts("PUT", "/api/v1/ltv/experiments", OPERATE, "ltv.experiment_set"),
    acts("DELETE", "/api/v1/ltv/experiments", OPERATE, "ltv.experiment_ended"),
];

const FLOW: &[Rule] = &[
    rule("GET", "/", Public),
    rule("GET", "/health", Public),
    rule("GET", "/ready", Public),
    rule("GET", "/metrics", All(Read)),
    rule("GET", "/docs", Public),
    rule("GET", "/docs/", Public),
    rule("GET", "/docs/{*rest}", Public),
    rule("GET", "/openapi.json", Public),
    // changes of campaigns have records of their own
    rule("GET", "/api/v1/campaigns", READ),
    rule("POST", "/api/v1/campaigns", OPERATE),
    rule("GET", "/api/v1/campaigns/{id}", READ),
    rule("PUT", "/api/v1/campaigns/{id}", OPERATE),
    rule("PATCH", "/api/v1/campaigns/{id}", OPERATE),
    rule("DELETE", "/api/v1/campaigns/{id}", OPERATE),
    rule("POST", "/api/v1/campaigns/{id}/start", OPERATE),
    rule("POST", "/api/v1/campaigns/{id}/resume", OPERATE),
    rule("POST", "/api/v1/campaigns/{id}/pause", OPERATE),
    rule("POST", "/api/v1/campaigns/{id}/end", OPERATE),
    rule("GET", "/api/v1/campaigns/{id}/history", READ),
    rule("GET", "/api/v1/campaigns/{id}/decisions", READ),
    rule("GET", "/api/v1/campaigns/{id}/counts", READ),
    rule("GET", "/api/v1/decisions", READ),
    rule("GET", "/api/v1/decisions/{auction}", READ),
    rule("GET", "/api/v1/breakers", All(Read)),
    // exchanges: a request is answered for the campaigns of all accounts; notices carry our own signature
    rule("POST", "/openrtb2/bid", All(Bid)),
    rule("GET", "/openrtb2/win", Public),
    rule("POST", "/openrtb2/win", Public),
    rule("GET", "/openrtb2/billing", Public),
    rule("POST", "/openrtb2/billing", Public),
    rule("GET", "/openrtb2/loss", Public),
    rule("POST", "/openrtb2/loss", Public),
];

/// Their signature says that we wrote them.
const NOTICES: [&str; 3] = ["/openrtb2/win", "/openrtb2/billing", "/openrtb2/loss"];

/// Methods of gRPC, each by its whole path: a service of which no method is here is closed.
const GRPC: &[Rule] = &[
    rule("POST", "/pb.LTVService/PredictLTV", READ),
    rule("POST", "/syncvalue.v1.SyncValueService/PredictLTV", READ),
    rule("POST", "/syncvalue.v1.SyncValueService/PredictLTVBatch", READ),
    rule("POST", "/syncvalue.v1.SyncValueService/PredictLTVStream", READ),
    rule("POST", "/syncvalue.v1.SyncValueService/GetModelHealth", READ),
    rule("POST", "/syncflow.v1.SyncFlowService/PlaceBid", All(Bid)),
    rule("POST", "/syncflow.v1.SyncFlowService/PlaceBidBatch", All(Bid)),
    rule("POST", "/syncflow.v1.SyncFlowService/GetBudgetStatus", READ),
    rule("POST", "/syncflow.v1.SyncFlowService/GetCircuitBreakerStatus", All(Read)),
    rule("POST", "/inference.GRPCInferenceService/ServerLive", Public),
    rule("POST", "/inference.GRPCInferenceService/ServerReady", Public),
    rule("POST", "/inference.GRPCInferenceService/ServerMetadata", Public),
    rule("POST", "/inference.GRPCInferenceService/ModelReady", READ),
    rule("POST", "/inference.GRPCInferenceService/ModelMetadata", READ),
    rule("POST", "/inference.GRPCInferenceService/ModelInfer", READ),
    rule("POST", "/grpc.health.v1.Health/Check", Public),
    rule("POST", "/grpc.health.v1.Health/List", Public),
    rule("POST", "/grpc.health.v1.Health/Watch", Public),
    rule("POST", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Public),
    rule("POST", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Public),
];

/// What the table says of a request.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    Rule(&'static Rule),
    /// The path takes other methods.
    Methods(&'static [&'static Rule]),
    Nothing,
}

/// Looks a route up by its method and its template. HEAD is what GET is.
pub fn find(listener: Listener, method: &Method, template: &str) -> Found {
    type ByPath = HashMap<&'static str, &'static [&'static Rule]>;
    const EVERY: [Listener; 6] = [
        Listener::Shield,
        Listener::Health,
        Listener::Admin,
        Listener::Value,
        Listener::Flow,
        Listener::Grpc,
    ];
    static BY_PATH: LazyLock<[ByPath; 6]> = LazyLock::new(|| {
        EVERY.map(|listener| {
            let mut paths: HashMap<_, Vec<_>> = HashMap::new();
            for rule in listener.rules() {
                paths.entry(rule.path).or_default().push(rule);
            }
            // Made once for the life of the process.
            paths.into_iter().map(|(path, rules)| (path, &*rules.leak())).collect()
        })
    });
    let Some(&rules) = BY_PATH[listener as usize].get(template) else { return Found::Nothing };
    let method = if method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
    match rules.iter().find(|rule| rule.method == method) {
        Some(rule) => Found::Rule(rule),
        None => Found::Methods(rules),
    }
}

impl Rule {
    /// The event of a request; one route takes several orders.
    pub fn event_of(&self, path: &str) -> Option<&'static str> {
        let event = self.event?;
        // An order to another node names it behind its path.
        let path = path.split('?').next().unwrap_or_default();
        Some(match (event, path.rsplit('/').next()) {
            ("admin.actor_ordered", Some("restart")) => "admin.actor_restarted",
            ("admin.actor_ordered", Some("drain")) => "admin.actor_drained",
            ("admin.actor_ordered", Some("stop")) => "admin.actor_stopped",
            _ => event,
        })
    }

    /// Whose call it is, in scopes: one port has the calls of several services.
    pub fn service(&self, listener: Listener) -> &'static str {
        match listener {
            Listener::Grpc if self.path.starts_with("/syncflow.") => Listener::Flow.service(),
            other => other.service(),
        }
    }

    /// Whether each call of it carries our own signature: its handler looks at that.
    pub fn is_signed(&self) -> bool {
        NOTICES.contains(&self.path)
    }

    pub fn right(&self) -> Option<Right> {
        match self.needs {
            Public => None,
            Needs::Right(right) | All(right) => Some(right),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Changes with records of their own: money, consents, requests, keys, campaigns, bids, and what only
    /// asks the audit log.
    fn records_itself(path: &str) -> bool {
        let money = ["/spend", "/api/v1/spend", "/api/v1/check", "/api/v1/check/batch"];
        let people = ["/consent/grant", "/consent/revoke", "/api/v1/consent/tcf", "/dsr/create"];
        let holds = ["/api/v1/holds/{id}/settle", "/api/v1/holds/{id}/release"];
        let asks = ["/api/v1/audit/heads", "/api/v1/audit/verify"];
        let keys = ["/api/admin/keys", "/api/admin/keys/{id}"];
        let questions = ["/api/v1/ltv/predict", "/api/v1/ltv/predict/batch"];
        let lists = [&money[..], &people, &holds, &asks, &keys, &questions];
        let listed = lists.iter().any(|paths| paths.contains(&path));
        let families = ["/api/v1/corrections", "/api/v1/campaigns", "/openrtb2/"];
        listed || families.iter().any(|family| path.starts_with(family))
    }

    #[test]
    fn a_key_can_be_made_for_every_service_that_routes_ask_for() {
        use crate::models::access::scope::SERVICES;

        let every = Listener::ALL.iter().chain([&Listener::Grpc]);
        for service in every.flat_map(|it| it.rules().iter().map(|rule| rule.service(*it))) {
            assert!(SERVICES.contains(&service), "{service}");
        }
    }

    #[test]
    fn a_route_stands_once_and_what_changes_something_is_audited_or_booked() {
        for listener in Listener::ALL {
            let mut seen = HashSet::new();
            for rule in listener.rules() {
                assert!(seen.insert((rule.method, rule.path)), "{rule:?}");
                let told = rule.event.is_some() || records_itself(rule.path);
                assert!(told || rule.method == "GET", "{rule:?}");
                let public = matches!(rule.path, "/" | "/health" | "/ready" | "/openapi.json")
                    || rule.path.starts_with("/docs")
                    || NOTICES.contains(&rule.path);
                assert_eq!(rule.needs == Public, public, "{rule:?}");
            }
        }
    }

    #[test]
    fn calls_of_grpc_are_of_the_service_that_answers_them() {
        for rule in Listener::Grpc.rules() {
            let want = if rule.path.contains("SyncFlow") { "flow" } else { "value" };
            assert_eq!(rule.service(Listener::Grpc), want, "{rule:?}");
        }
        assert!(Listener::Flow.rules().iter().all(|rule| rule.service(Listener::Flow) == "flow"));
    }

    #[test]
    fn an_order_to_another_node_is_the_same_event() {
        let Found::Rule(rule) = find(Listener::Admin, &Method::POST, "/api/admin/actors/{*path}")
        else {
            panic!("no rule")
        };
        for (path, event) in [
            ("/api/admin/actors/a/restart", "admin.actor_restarted"),
            ("/api/admin/actors/a/stop?node=b", "admin.actor_stopped"),
            ("/api/admin/actors/a/x?node=drain", "admin.actor_ordered"),
        ] {
            assert_eq!(rule.event_of(path), Some(event), "{path}");
        }
    }

    #[test]
    fn a_template_is_found_by_its_method_and_head_is_get() {
        let found = |method, path| find(Listener::Shield, &method, path);
        assert!(matches!(found(Method::GET, "/check"), Found::Rule(r) if r.needs == READ));
        assert!(matches!(found(Method::HEAD, "/check"), Found::Rule(r) if r.method == "GET"));
        assert!(matches!(found(Method::DELETE, "/check"), Found::Methods([_])));
        assert!(matches!(found(Method::GET, "/api/admin/tree"), Found::Nothing));
        assert!(matches!(find(Listener::Admin, &Method::GET, "/api/admin/tree"), Found::Rule(_)));
    }
}
