//! SyncValue beside another server of the same network: `scripts/peers/onnx.sh` runs all of this.
//!
//! ```text
//! prepare --transactions FILE --data-dir DIR --out DIR   fit, register and promote; write what a peer needs
//! load --customers FILE --seconds N --rounds N --tolerance X NAME=HOST:PORT NAME=HOST:PORT
//! batch --out DIR --rows N --seconds X                   the network alone, in this process
//! ```

mod batch;
mod load;
mod prepare;

use std::collections::HashMap;

use tokio::runtime::Builder;

/// `--name value` pairs, and what is none.
pub struct Args {
    named: HashMap<String, String>,
    pub plain: Vec<String>,
}

impl Args {
    fn parse(args: impl Iterator<Item = String>) -> Args {
        let (mut named, mut plain, mut args) = (HashMap::new(), Vec::new(), args);
        while let Some(arg) = args.next() {
            match arg.strip_prefix("--") {
                // cargo's own flag for benches has no value.
                Some("bench") => {}
                Some(name) => {
                    let value = args.next().unwrap_or_else(|| panic!("--{name} needs a value"));
                    named.insert(name.to_owned(), value);
                }
                None => plain.push(arg),
            }
        }
        Args { named, plain }
    }

    pub fn text(&self, name: &str) -> &str {
        self.named.get(name).unwrap_or_else(|| panic!("--{name} is missing"))
    }

    pub fn number(&self, name: &str) -> f64 {
        self.text(name).parse().unwrap_or_else(|_| panic!("--{name} is no number"))
    }
}

fn main() {
    let args = Args::parse(std::env::args().skip(1));
    // The load comes from one thread: the servers have the rest of the machine.
    let one = || Builder::new_current_thread().enable_all().build().expect("a runtime");
    match args.plain.first().map(String::as_str) {
        Some("prepare") => {
            let many = Builder::new_multi_thread().enable_all().build().expect("a runtime");
            many.block_on(prepare::run(&args));
        }
        Some("load") => one().block_on(load::run(&args)),
        Some("batch") => batch::run(&args),
        other => panic!("prepare, load or batch, not {other:?}"),
    }
}
