//! The network's dense part alone: many rows at once, in this process.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use kiki::models::value::learned::fit::Learned;

use super::Args;

pub fn run(args: &Args) {
    let out = Path::new(args.text("out"));
    let network = std::fs::read(out.join("network.safetensors")).expect("a network");
    let learned = Learned::from_safetensors(&network).expect("a network");
    let (member, _) = learned.dense_part(&[]).expect("a member");
    let bytes = std::fs::read(out.join("inputs.f32")).expect("inputs");
    let all: Vec<f32> =
        bytes.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let rows = args.number("rows") as usize;
    let inputs: Vec<f32> = all.iter().copied().cycle().take(rows * member.width()).collect();
    let time = Duration::from_secs_f64(args.number("seconds"));
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let one = Instant::now();
        black_box(member.logits_of(black_box(&inputs)));
        times.push(one.elapsed().as_secs_f64() * 1e6);
    }
    // The first ones warm the caches.
    let mut times = times.split_off(times.len() / 10);
    times.sort_by(f64::total_cmp);
    println!("{}", times[times.len() / 2]);
}
