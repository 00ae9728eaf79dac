//! The admin API of one node through another.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use kiki::access::{Door, Keys};
use kiki::actors::kernel::{Actor, Cx, Fault};
use kiki::api::admin::{reached_by_name, router};
use kiki::store::{Store, StoreConfig};
use serde_json::Value;
use tower::ServiceExt;

use super::support::{Node, Office, meet, row};

struct Quiet;

impl Actor for Quiet {
    type Msg = ();
    type View = ();
    const TYPE: &'static str = "quiet";

    async fn handle(&mut self, (): (), _: &mut Cx<Self>) -> Result<(), Fault> {
        Ok(())
    }

    fn view(&self) {}
}

/// What a node's admin port answers, without the guard; each node has a service of its own name.
struct Api {
    node: Node,
    routes: Router,
    _dir: tempfile::TempDir,
}

impl Api {
    async fn open(office: &Office, name: &str, life: u64) -> Api {
        let node = Node::start(office, name, life).await;
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(StoreConfig::sqlite(dir.path())).await.expect("the store opens");
        let door = Arc::new(Door::open(Keys::load(store).await.expect("keys")));
        let service = node.registry.service("shield").start().expect("a service");
        let actor = format!("of-{name}");
        service.supervisor().child(&actor).start(|| Quiet).expect("an actor");
        let routes = reached_by_name(router(node.registry.clone(), false, door), &node.placement);
        Api { node, routes, _dir: dir }
    }

    async fn ask(&self, method: Method, uri: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(uri).body(Body::empty());
        let answer = self.routes.clone().oneshot(request.expect("a request")).await;
        let answer = answer.expect("infallible");
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn get(&self, uri: &str) -> (u16, Value) {
        self.ask(Method::GET, uri).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_api_of_a_node_is_reached_through_any_other() {
    let office = Office::open();
    let (a, b) = (Api::open(&office, "a", 1).await, Api::open(&office, "b", 2).await);
    meet(&[&a.node, &b.node]).await;

    for (of, uri, path) in [
        (&a, "/api/admin/actors?prefix=/shield/", "/shield/of-a"),
        (&a, "/api/admin/actors?prefix=/shield/&node=a", "/shield/of-a"),
        (&a, "/api/admin/actors?prefix=/shield/&node=b", "/shield/of-b"),
        (&b, "/api/admin/actors?node=a&prefix=/shield/", "/shield/of-a"),
    ] {
        let (status, page) = of.get(uri).await;
        assert_eq!((status, &page["actors"][0]["path"]), (200, &Value::from(path)), "{page}");
    }
    let (status, actor) = a.get("/api/admin/actors/shield/of-b?node=b").await;
    assert_eq!((status, &actor["path"]), (200, &Value::from("/shield/of-b")), "{actor}");
    let (status, none) = a.get("/api/admin/actors/shield/of-b").await;
    assert_eq!((status, &none["code"]), (404, &Value::from("unknown_actor")));
    // An order is carried out there, and here nothing is.
    let (status, done) = a.ask(Method::POST, "/api/admin/actors/shield/of-b/restart?node=b").await;
    assert_eq!((status, &done["done"]), (200, &Value::from(true)), "{done}");
    assert_eq!(b.node.registry.actor("/shield/of-b").expect("it is there").lives, 2);

    // Whoever is no node, is not reached, or would answer without an end.
    let (status, none) = a.get("/api/admin/services?node=c").await;
    assert_eq!((status, &none["code"]), (404, &Value::from("not_found")), "{none}");
    let (status, bad) = a.get("/api/admin/services?node=A.b").await;
    assert_eq!((status, &bad["field"]), (400, &Value::from("node")), "{bad}");
    let (status, stream) = a.get("/api/admin/events?node=b").await;
    assert_eq!((status, &stream["field"]), (400, &Value::from("node")), "{stream}");
    let away = row("away", 3, "127.0.0.1:9");
    a.node.told(&[&a.node.row, &b.node.row, &away]);
    let (status, silent) = a.get("/api/admin/services?node=away").await;
    assert_eq!((status, &silent["code"]), (503, &Value::from("not_reached")), "{silent}");
}
