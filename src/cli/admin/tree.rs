//! `kiki admin tree`.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use super::super::exit::CliResult;
use super::client::Admin;
use super::print::{list, mailbox, word};

/// Print the supervision tree
///
/// Each actor with its state, messages waiting of the most that may wait, and restarts.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  kiki admin tree --depth 4")]
pub struct TreeArgs {
    /// Levels below each service
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    depth: u8,
}

/// Runs the command.
pub async fn run(admin: &Admin, args: &TreeArgs) -> CliResult {
    let answer = admin.get("/tree", &[("depth", args.depth.to_string())]).await?;
    admin.print(&answer, tree)
}

fn tree(answer: &Value) -> String {
    let mut out = String::new();
    for service in list(answer, "tree") {
        node(service, "", None, &mut out);
    }
    out
}

/// One node and what is below it; `last` says whether it is its parent's last child.
fn node(actor: &Value, indent: &str, last: Option<bool>, out: &mut String) {
    let branch = match last {
        None => "",
        Some(false) => "├─ ",
        Some(true) => "└─ ",
    };
    let path = word(&actor["path"]);
    let name = match last {
        None => path.as_str(),
        Some(_) => path.rsplit('/').next().unwrap_or_default(),
    };
    let (kind, state) = (word(&actor["type"]), word(&actor["state"]));
    // Writing to a String cannot fail.
    let _ = write!(out, "{indent}{branch}{name}  {kind} {state} {}", mailbox(actor));
    if actor["restarts"].as_u64().is_some_and(|restarts| restarts > 0) {
        let _ = write!(out, " restarts {}", actor["restarts"]);
    }
    let _ = writeln!(out);
    let indent = match last {
        None => String::new(),
        Some(false) => format!("{indent}│  "),
        Some(true) => format!("{indent}   "),
    };
    let children = list(actor, "children");
    let below = actor["below"].as_u64().unwrap_or(0);
    let shown = count(actor) - 1;
    let more = below.saturating_sub(shown);
    let cut = children.is_empty() && more > 0;
    for (at, child) in children.iter().enumerate() {
        node(child, &indent, Some(at + 1 == children.len()), out);
    }
    if cut {
        let _ = writeln!(out, "{indent}└─ … {more} more below");
    }
}

/// How many actors of the answer are at or below this one, those that it leaves out included.
fn count(actor: &Value) -> u64 {
    1 + list(actor, "children").iter().map(count).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_is_drawn_with_its_branches_and_what_is_left_out() {
        let leaf = |path: &str, below: u64| {
            json!({"path": path, "type": "budget", "state": "running", "depth": 0, "capacity": 9,
                   "restarts": below, "below": below})
        };
        let answer = json!([{"path": "/shield", "type": "service", "state": "running", "depth": 0,
            "capacity": 5, "restarts": 0, "below": 4,
            "children": [leaf("/shield/a", 0), leaf("/shield/b", 2)]}]);
        assert_eq!(
            tree(&answer),
            "/shield  service running 0/5\n\
             ├─ a  budget running 0/9\n\
             └─ b  budget running 0/9 restarts 2\n   └─ … 2 more below\n"
        );
    }
}
