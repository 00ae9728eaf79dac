"""The network on many rows in process: kiki's plain Rust beside onnxruntime, by turns.

onnx_batch.py FOLDER BENCH ROWS
"""

import json
import statistics
import subprocess
import sys
import time

import numpy
import onnxruntime

folder, bench, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
ROUNDS, SECONDS = 7, 1.0
width = json.load(open(f"{folder}/reading.json"))["width"]
known = numpy.fromfile(f"{folder}/inputs.f32", "<f4").reshape(-1, width)
inputs = numpy.ascontiguousarray(numpy.resize(known, (rows, width)))


def session(threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(
        f"{folder}/network.onnx", options, providers=["CPUExecutionProvider"]
    )


def onnx(session):
    """Microseconds of a run: the median of a second's."""
    times, feed, until = [], {"inputs": inputs}, time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        begun = time.perf_counter_ns()
        session.run(["logits"], feed)
        times.append((time.perf_counter_ns() - begun) / 1e3)
    return statistics.median(times[len(times) // 10 :])


def rust():
    command = [bench, "batch", "--out", folder, "--rows", str(rows), "--seconds", str(SECONDS)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


sessions = {"onnxruntime, 1 thread": session(1), "onnxruntime, its default threads": session(0)}
want = numpy.fromfile(f"{folder}/logits.f32", "<f4").reshape(-1, 3)
got = next(iter(sessions.values())).run(["logits"], {"inputs": known})[0]
off = float(numpy.abs(got - want).max())
print(f"logits of {len(known)} customers: the largest difference is {off:.1e}")
assert off <= 1e-4, "both say the same"
times = {"kiki, 1 thread": []} | {name: [] for name in sessions}
for _ in range(ROUNDS):
    times["kiki, 1 thread"].append(rust())
    for name, of in sessions.items():
        times[name].append(onnx(of))
print(f"\n| {rows:,} rows of 40-64-32-3 | p50 (median [least–most] of {ROUNDS}) | kiki is |")
print("|---|---|---|")
ours = statistics.median(times["kiki, 1 thread"])
slower = []
for name, of in times.items():
    ratio = statistics.median(of) / ours
    print(f"| {name} | {statistics.median(of):.0f} µs [{min(of):.0f}–{max(of):.0f}] | {ratio:.2f}× as fast |")
    if ratio < 1.0:
        slower.append(name)
if slower:
    sys.exit(f"error: slower than {slower}")
