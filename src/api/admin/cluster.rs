//! The cluster: which nodes there are, who has what, and orders to move it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use super::elsewhere::unknown_node;
use crate::actors::cluster::{ClusterView, NotMoved, Placement, ShardView, detour};
use crate::actors::shield::BudgetName;
use crate::api::body::{self, InPath, fields};
use crate::api::docs::Problems;
use crate::api::problem::{Code, Problem};
use crate::api::query::Parameters;
use crate::api::shield::App;
use crate::models::cluster::member::Route;
use crate::models::cluster::node::{Role, is_node_name};
use crate::models::cluster::shard::{SHARDS, Shard};

/// How long the answer to a move waits for its end.
const PATIENCE: Duration = Duration::from_secs(8);

type Ctx = State<Arc<App>>;

/// Where something is.
#[derive(Serialize, ToSchema)]
pub struct Whereabouts {
    account: String,
    /// Absent where the account was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign: Option<String>,
    #[serde(flatten)]
    shard: ShardView,
}

/// A node that was told to end.
#[derive(Serialize, ToSchema)]
pub struct Draining {
    node: String,
    /// The life that ends.
    incarnation: String,
    draining: bool,
}

fields!(MoveFields { to } only);

/// Where to move a shard.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one")]
pub struct MoveBody {
    /// The name of the node that is to have it.
    #[schema(example = "node-2")]
    to: String,
}

/// A shard that was told to move.
#[derive(Serialize, ToSchema)]
pub struct Moved {
    shard: u16,
    to: String,
    /// False: it is on its way.
    done: bool,
    /// Of its new owner, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<i64>,
}

fn placement(app: &App) -> &Arc<Placement> {
    app.shield.placement()
}

/// Show the cluster: its nodes, the links between them, and who has which shards
///
/// As the node that answers has read it from the database, at most a second ago while that answers; links are its
/// own (`node` asks another one for its). All work is in the 256 shards of SyncShield's role: budgets, accounts,
/// people, campaigns and customers. Those of the other roles have owners, too, carry nothing, and are not shown.
#[utoipa::path(get, path = "/api/admin/cluster", tag = "cluster",
    params(
        ("shards" = Option<bool>, Query, description = "With true each shard, too")),
    responses((status = 200, body = ClusterView), Problems))]
pub async fn show(State(app): Ctx, parameters: Parameters) -> Result<Json<ClusterView>, Problem> {
    let each = match parameters.text("shards").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::field("shards", "is neither true nor false")),
    };
    Ok(Json(placement(&app).show_cluster(each)))
}

/// Find the shard of a campaign or an account, and its owner
///
/// Whether there is such a campaign is not looked at. Without `campaign`, what belongs to no campaign: the account's
/// window, people, customers, models and audit log are together in one shard.
#[utoipa::path(get, path = "/api/admin/cluster/where", tag = "cluster",
    params(
        ("campaign" = Option<String>, Query, description = "The campaign; its account itself if not given", example = "camp_001"),
        ("account" = Option<String>, Query, description = "The default account if not given")),
    responses((status = 200, body = Whereabouts), Problems))]
pub async fn find(State(app): Ctx, parameters: Parameters) -> Result<Json<Whereabouts>, Problem> {
    let account =
        parameters.text("account").unwrap_or_else(|| app.shield.terms().default_account.clone());
    body::check_name("account", &account)?;
    let campaign = parameters.text("campaign");
    let name = match &campaign {
        Some(campaign) => {
            body::check_name("campaign", campaign)?;
            BudgetName::campaign(&account, campaign)
        }
        None => BudgetName::account(&account),
    };
    let shard = placement(&app).show_shard(name.place());
    Ok(Json(Whereabouts { account, campaign, shard }))
}

/// Tell a node to hand everything over and end
///
/// The same as SIGTERM to its process: it is not ready from now on, finishes what runs, hands its shards to the other
/// nodes, and exits with 0, for its supervisor to start it again. A node cannot be emptied and kept: one without a
/// lease serves nothing, and one with a lease takes its shards back. Refused where no other node could take over, and
/// while the database does not answer.
/// Which node it is, is said in the path alone; any node passes the order on.
#[utoipa::path(post, path = "/api/admin/cluster/nodes/{name}/drain", tag = "cluster",
    params(("name" = String, Path, description = "The name of the node", example = "node-2")),
    responses((status = 202, body = Draining, description = "It has begun"), Problems))]
pub async fn drain(
    State(app): Ctx,
    InPath(name): InPath,
) -> Result<(StatusCode, Json<Draining>), Problem> {
    let placement = placement(&app);
    // Others were sent to where they belong, see `elsewhere`.
    if placement.name().as_ref() != Some(&name) {
        return Err(unknown_node(&name));
    }
    // Nothing can be handed over without the database: a node that began to leave would be gone with all that it has.
    if !placement.serves() {
        let why = "the node has no lease at this moment: its database does not answer";
        return Err(Problem::new(Code::StoreUnavailable, why));
    }
    let (roster, me) = (placement.roster(), placement.incarnation());
    if !roster.takers().any(|node| node.incarnation != me) {
        let why =
            "no other node could take its shards over: to end it all the same, stop its process";
        return Err(Problem::new(Code::Conflict, why));
    }
    placement.orders().stop();
    let incarnation = me.to_string();
    Ok((StatusCode::ACCEPTED, Json(Draining { node: name, incarnation, draining: true })))
}

/// Move a shard to another node
///
/// What is in it comes to rest, and the other node takes it up: for up to a few seconds requests for it wait. There it
/// stays for as long as the nodes are the same; when one joins, leaves or changes its release, shards go to where they
/// belong (`home`). Any node passes the order on to the owner. A node that there is not is 404; 409 says why a shard is
/// not moved to one that there is.
#[utoipa::path(post, path = "/api/admin/cluster/shards/{shard}/move", tag = "cluster", request_body = MoveBody,
    params(("shard" = u16, Path, description = "0 to 255", example = 17)),
    responses(
        (status = 200, body = Moved, description = "It is there"),
        (status = 202, body = Moved, description = "It is on its way"), Problems))]
pub async fn order(
    State(app): Ctx,
    InPath(shard): InPath,
    json: body::Json,
) -> Result<(StatusCode, Json<Moved>), Problem> {
    let place = shard.parse().ok().filter(|place| (0..SHARDS).contains(place));
    let place: u16 = place.ok_or_else(|| Problem::field("shard", "is not within 0 and 255"))?;
    let f: MoveFields = json.fields()?;
    let raw = f.to.ok_or_else(|| Problem::missing("to"))?;
    let to = body::text("to", raw, 63)?;
    if !is_node_name(&to) {
        return Err(Problem::field("to", "is no name of a node"));
    }
    let (shard, placement) = (Shard::of(Role::Shield, place), placement(&app));
    let route = placement.route(shard);
    if matches!(route, Route::There(_)) {
        // Which nodes there are, its owner knows as well, and it decides.
        detour::want(shard);
        return Err(Problem::new(Code::NotReached, "its owner could not be reached"));
    }
    let roster = placement.roster();
    let heir = roster.nodes.iter().find(|node| !node.dead && *node.name == *to);
    let heir = heir.map(|node| node.incarnation).ok_or_else(|| unknown_node(&to))?;
    match route {
        Route::Here(_) | Route::There(_) => {}
        Route::Nobody => {
            let why = "it is on its way to another node already, or nobody has it yet";
            return Err(refused(place, &to, why));
        }
    }
    let done = match heir == placement.incarnation() {
        true => true,
        false => placement.move_to(shard, heir, PATIENCE).await.map_err(|why| match why {
            NotMoved::Unanswered(_) => {
                Problem::new(Code::Unanswered, format!("shard {place} to {to}: {why}"))
            }
            NotMoved::NoNode => unknown_node(&to),
            why => refused(place, &to, &why.to_string()),
        })?,
    };
    let epoch = done.then(|| placement.show_shard(shard).epoch);
    let status = if done { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(Moved { shard: place, to: to.into_owned(), done, epoch })))
}

fn refused(shard: u16, to: &str, why: &str) -> Problem {
    Problem::new(Code::Conflict, format!("shard {shard} is not moved to {to}: {why}"))
        .help("look at the nodes and at who has it: GET /api/admin/cluster?shards=true")
}

/// These routes, for the listener: they need more than the actors.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/admin/cluster", get(show))
        .route("/api/admin/cluster/where", get(find))
        .route("/api/admin/cluster/nodes/{name}/drain", post(drain))
        .route("/api/admin/cluster/shards/{shard}/move", post(order))
        .with_state(app)
}
