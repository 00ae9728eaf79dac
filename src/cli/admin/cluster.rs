//! `kiki admin cluster`.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::exit::{CliError, CliResult};
use super::super::format::{microseconds, table};
use super::client::Admin;
use super::print::{list, time, word};

/// Show the nodes, the links between them and who has what, or move it
///
/// As the node that is asked sees it: the links are those from it to the others, and `--node` asks another
/// one for its. Work is spread in 256 shards; each has one owner at a time.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  kiki admin cluster\n  kiki admin cluster --shards\n  kiki admin cluster --node node-2\n  kiki admin cluster drain node-2"
)]
pub struct ClusterCommand {
    /// Print each shard, too
    #[arg(long)]
    shards: bool,

    #[command(subcommand)]
    command: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tell a node to hand everything over and end
    ///
    /// The same as SIGTERM to its process: it turns not ready, finishes what runs, hands its shards to
    /// the other nodes and exits with 0, for its supervisor to start it again. Refused where no other
    /// node could take over. It does not wait for the end: `kiki admin cluster` shows how far it is.
    #[command(
        after_long_help = "Examples:\n  kiki admin cluster drain node-2\n  kiki admin --url http://10.0.0.1:8090 cluster drain node-2"
    )]
    Drain {
        /// The node's name
        #[arg(value_name = "NODE")]
        name: String,
    },
    /// Move a shard to another node
    ///
    /// Requests for what is in it wait until it is there, for up to a few seconds. It stays there until a
    /// node joins, leaves or changes its release; then all shards go to where they belong.
    #[command(after_long_help = "Example:\n  kiki admin cluster move 17 node-2")]
    Move {
        /// The shard's number, as `where` and `--shards` print it
        #[arg(value_name = "SHARD", value_parser = clap::value_parser!(u16).range(0..=255))]
        shard: u16,

        /// The name of the node that is to have it
        #[arg(value_name = "NODE")]
        to: String,
    },
    /// Print the shard of a campaign or an account, and its owner
    ///
    /// Without a campaign, that of what belongs to none: the account's window, people, customers, models
    /// and audit log. Whether there is such a campaign is not looked at.
    #[command(
        after_long_help = "Examples:\n  kiki admin cluster where camp_001\n  kiki admin cluster where camp_001 --account acme\n  kiki admin cluster where --account acme"
    )]
    Where {
        /// The campaign [default: the account itself]
        #[arg(value_name = "CAMPAIGN")]
        campaign: Option<String>,

        /// The account [default: the default account]
        #[arg(long, value_name = "ACCOUNT")]
        account: Option<String>,
    },
}

/// Runs the command.
pub async fn run(admin: &Admin, args: ClusterCommand) -> CliResult {
    if args.shards && args.command.is_some() {
        return Err(CliError::usage("--shards: goes with `kiki admin cluster` alone"));
    }
    match args.command {
        None => {
            let query: &[_] = if args.shards { &[("shards", "true".to_owned())] } else { &[] };
            let answer = admin.get("/cluster", query).await?;
            admin.print(&answer, cluster)
        }
        Some(Action::Drain { name }) => {
            let path = format!("/cluster/nodes/{}/drain", super::client::encoded(&name));
            let answer = admin.call(admin.request(Method::POST, &path, &[])).await?;
            admin.print(&answer, |_| format!("{name}: hands everything over, and ends\n"))
        }
        Some(Action::Move { shard, to }) => {
            let request =
                admin.request(Method::POST, &format!("/cluster/shards/{shard}/move"), &[]);
            let answer = admin.call(request.json(&json!({ "to": to }))).await?;
            admin.print(&answer, |answer| match answer["done"].as_bool() {
                Some(true) => {
                    format!("shard {shard}: {to} has it, epoch {}\n", word(&answer["epoch"]))
                }
                _ => format!("shard {shard}: is on its way to {to}\n"),
            })
        }
        Some(Action::Where { campaign, account }) => {
            let parameters = [("campaign", campaign), ("account", account)];
            let query: Vec<_> = parameters.into_iter().filter_map(|(n, v)| Some((n, v?))).collect();
            let answer = admin.get("/cluster/where", &query).await?;
            admin.print(&answer, |answer| shards(std::slice::from_ref(answer)))
        }
    }
}

fn cluster(answer: &Value) -> String {
    let mut out = nodes(answer);
    let links = list(&answer["links"], "");
    if !links.is_empty() {
        out += &format!("\nlinks of {}\n{}", word(&answer["node"]), self::links(links));
        for link in links {
            if let Some(ms) = link["other_lease_ms"].as_i64() {
                let (other, own) = (word(&link["node"]), word(&answer["node"]));
                let lasts = seconds(ms);
                out += &format!(
                    "leases of {other} last {lasts}, those of {own} do not: set cluster.leases the same\n"
                );
            }
        }
    }
    let counts = &answer["shards"];
    let count = |name: &str| word(&counts[name]);
    out += &format!(
        "\n{} shards held, {} on their way from {}, {} without an owner\n",
        count("held"),
        count("closing"),
        word(&answer["node"]),
        count("orphans")
    );
    // Without an answer of the database nothing here is of now.
    if let Some(ms) = answer["read_ms_ago"].as_i64().filter(|ms| *ms > 5_000) {
        out += &format!("as it was {} s ago: the database does not answer\n", ms / 1_000);
    }
    let each = list(counts, "each");
    if !each.is_empty() {
        out += &format!("\n{}", shards(each));
    }
    out
}

fn nodes(answer: &Value) -> String {
    let owners = &answer["shards"]["owners"];
    let row = |node: &Value| {
        let is = |name: &str| node[name].as_bool() == Some(true);
        let state = match (is("dead"), is("draining")) {
            (true, _) => "gone",
            (_, true) => "draining",
            _ => "in",
        };
        let name = word(&node["name"]);
        let shards = node["name"].as_str().map_or(&Value::Null, |name| &owners[name]);
        let shown = if is("this_node") { format!("{name} *") } else { name.clone() };
        vec![
            shown,
            state.to_owned(),
            word(shards),
            match node["lease_left_ms"].as_i64() {
                None => "-".to_owned(),
                Some(left) if left < 0 => "over".to_owned(),
                Some(left) => seconds(left),
            },
            word(&node["address"]),
            word(&node["roles"]),
            word(&node["version"]),
            time(&node["joined_us"]),
            word(&node["incarnation"]),
        ]
    };
    let rows: Vec<_> = list(answer, "nodes").iter().map(row).collect();
    let head = [
        "NODE",
        "STATE",
        "SHARDS",
        "LEASE",
        "ADDRESS",
        "ROLES",
        "VERSION",
        "JOINED",
        "INCARNATION",
    ];
    table(&head, &rows)
}

fn links(links: &[Value]) -> String {
    let row = |link: &Value| {
        let took = |name: &str| link[name].as_u64().map_or("-".to_owned(), microseconds);
        let cell = |name: &str| word(&link[name]);
        vec![
            cell("node"),
            cell("state"),
            time(&link["since_us"]),
            took("rtt_us"),
            took("rtt_smoothed_us"),
            cell("in_flight"),
            cell("asks"),
            cell("failures"),
            cell("last_error"),
        ]
    };
    let rows: Vec<_> = links.iter().map(row).collect();
    let head =
        ["TO", "STATE", "SINCE", "RTT", "SMOOTHED", "IN FLIGHT", "ASKS", "FAILURES", "LAST ERROR"];
    table(&head, &rows)
}

fn shards(shards: &[Value]) -> String {
    let row = |shard: &Value| {
        let cell = |name: &str| word(&shard[name]);
        vec![
            cell("shard"),
            cell("state"),
            cell("owner"),
            cell("epoch"),
            shard["age_ms"].as_i64().map_or("-".to_owned(), seconds),
            cell("heir"),
            cell("home"),
        ]
    };
    let rows: Vec<_> = shards.iter().map(row).collect();
    table(&["SHARD", "STATE", "OWNER", "EPOCH", "SINCE", "HEIR", "HOME"], &rows)
}

fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_a_table_of_nodes_one_of_links_and_the_shards() {
        let node = |name: &str, this: bool, lease: i64| {
            json!({"name": name, "incarnation": "00000000000000aa", "address": "10.0.0.1:7940",
                   "roles": "shield,value,flow", "version": "0.1.0", "joined_us": 0,
                   "lease_left_ms": lease, "draining": !this, "dead": false, "this_node": this})
        };
        let link = json!({"node": "node-2", "state": "up", "since_us": 0, "rtt_us": 250,
            "rtt_smoothed_us": 1_500, "in_flight": 0, "asks": 7, "failures": 1,
            "other_lease_ms": 2_000});
        let shard = json!({"shard": 3, "state": "orphan", "epoch": 6, "age_ms": 2_345,
            "heir": "node-2", "home": "node-2"});
        let answer = json!({"node": "node-1", "incarnation": "00000000000000aa", "read_ms_ago": 9_100,
            "nodes": [node("node-1", true, 7_950), node("node-2", false, -1_200)], "links": [link],
            "shards": {"held": 255, "closing": 0, "orphans": 1, "each": [shard],
                       "owners": {"node-1": 128, "node-2": 127}}});
        assert_eq!(
            cluster(&answer),
            "NODE      STATE     SHARDS  LEASE   ADDRESS        ROLES              VERSION  JOINED                    INCARNATION\n\
             node-1 *  in        128     7.9 s   10.0.0.1:7940  shield,value,flow  0.1.0    1970-01-01T00:00:00.000Z  00000000000000aa\n\
             node-2    draining  127     -1.2 s  10.0.0.1:7940  shield,value,flow  0.1.0    1970-01-01T00:00:00.000Z  00000000000000aa\n\
             \nlinks of node-1\n\
             TO      STATE  SINCE                     RTT     SMOOTHED  IN FLIGHT  ASKS  FAILURES  LAST ERROR\n\
             node-2  up     1970-01-01T00:00:00.000Z  250 µs  1.5 ms    0          7     1         -\n\
             leases of node-2 last 2.0 s, those of node-1 do not: set cluster.leases the same\n\
             \n255 shards held, 0 on their way from node-1, 1 without an owner\n\
             as it was 9 s ago: the database does not answer\n\
             \nSHARD  STATE   OWNER  EPOCH  SINCE  HEIR    HOME\n\
             3      orphan  -      6      2.3 s  node-2  node-2\n"
        );
    }
}
