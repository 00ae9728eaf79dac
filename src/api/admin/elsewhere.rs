//! Requests of operators for another node: whoever reaches one node reaches the admin API of all. They go there as they
//! came, over the link of the nodes, with who sent them; who may is decided, and what was done recorded, where they
//! came in.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower::ServiceBuilder;
use utoipa::Modify;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, OpenApi, RefOr, Required, Type};

use crate::actors::cluster::Placement;
use crate::api::access::Listener;
use crate::api::access::routes::{ADMIN_API, EVENTS, NODE_DRAIN};
use crate::api::forward::ForwardLayer;
use crate::api::problem::{Code, Problem};
use crate::api::query::named_node;
use crate::models::cluster::node::Incarnation;
use crate::models::cluster::roster::Roster;

/// How long another node may take to answer: it may wait for actors to end, or read an audit log.
const PATIENCE: Duration = Duration::from_secs(30);

/// Says of every route that a node may be named.
pub struct NamesNodes;

impl Modify for NamesNodes {
    fn modify(&self, api: &mut OpenApi) {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let node = ParameterBuilder::new()
            .name("node")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some("The node that is to answer; that which is asked if not given"))
            .schema(Some(text))
            .build();
        let named = api.paths.paths.iter_mut();
        // An order to a node names it, and events are not passed on.
        for (_, item) in named.filter(|(path, _)| *path != NODE_DRAIN && *path != EVENTS) {
            let operations = [&mut item.get, &mut item.post, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                operation.parameters.get_or_insert_default().push(RefOr::T(node.clone()));
            }
        }
    }
}

#[derive(Clone)]
struct Ways {
    placement: Arc<Placement>,
    forward: ForwardLayer,
}

/// These routes for whoever asks this node, for itself or for another one, and for other nodes that pass a request
/// on.
pub fn reached_by_name(routes: Router, placement: &Arc<Placement>) -> Router {
    let forward = ForwardLayer::new(placement, Listener::Admin, &routes);
    let ways = Ways { placement: Arc::clone(placement), forward: forward.clone() };
    let named = axum::middleware::from_fn_with_state(ways, pass);
    routes.layer(ServiceBuilder::new().layer(named).layer(forward))
}

async fn pass(State(ways): State<Ways>, request: Request, next: Next) -> Response {
    let template = request.extensions().get::<MatchedPath>();
    let template = template.map(|template| template.as_str()).unwrap_or_default();
    let name = match named(template, &request) {
        Ok(Some(name)) => name,
        Ok(None) => return next.run(request).await,
        Err(problem) => return problem.into_response(),
    };
    match find(&ways.placement.roster(), ways.placement.incarnation(), &name) {
        Node::This => next.run(request).await,
        Node::Unknown => unknown_node(&name).into_response(),
        Node::Other(_) if template == EVENTS => {
            let why = "is another node, and its events are not passed on: follow them at its own admin port";
            Problem::field("node", why).into_response()
        }
        Node::Other(node) => {
            let answer = ways.forward.send_to(node, request, PATIENCE).await;
            answer.unwrap_or_else(|problem| {
                let told = format!("{name}: {}", problem.detail());
                Problem::new(problem.code(), told).into_response()
            })
        }
    }
}

/// The node that a request is for, where it says so: an order to a node names it in its path.
fn named(template: &str, request: &Request) -> Result<Option<String>, Problem> {
    if template == NODE_DRAIN {
        // The last but one of its parts.
        return Ok(request.uri().path().rsplit('/').nth(1).map(str::to_owned));
    }
    match template.starts_with(ADMIN_API) {
        true => named_node(request.uri()),
        false => Ok(None),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Node {
    This,
    Other(Incarnation),
    Unknown,
}

fn find(roster: &Roster, me: Incarnation, name: &str) -> Node {
    let mut living = roster.nodes.iter().filter(|node| !node.dead && node.name == name);
    match living.next() {
        Some(node) if node.incarnation == me => Node::This,
        Some(node) => Node::Other(node.incarnation),
        None => Node::Unknown,
    }
}

pub(super) fn unknown_node(name: &str) -> Problem {
    let name: String = name.chars().take(64).collect();
    Problem::new(Code::NotFound, format!("there is no node {name}"))
        .help("list nodes: GET /api/admin/cluster")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn asked(template: &str, uri: &str) -> Option<String> {
        let request = Request::builder().uri(uri).body(Body::empty()).expect("a request");
        named(template, &request).expect("a name or none")
    }

    #[test]
    fn a_request_is_for_the_node_of_its_path_or_else_of_its_query() {
        let drain = "/api/admin/cluster/nodes/b/drain";
        assert_eq!(asked(NODE_DRAIN, drain).as_deref(), Some("b"));
        assert_eq!(asked(NODE_DRAIN, &format!("{drain}?node=c")).as_deref(), Some("b"));
        let tree = "/api/admin/tree";
        assert_eq!(asked(tree, "/api/admin/tree?depth=2&node=c").as_deref(), Some("c"));
        assert_eq!(asked(tree, tree), None);
        // Probes and pages are of the node that is asked.
        assert_eq!(asked("/ready", "/ready?node=c"), None);
        assert_eq!(asked("", "/nothing?node=c"), None);
    }
}
