"""The network on many rows in process: kiki's plain Rust beside onnxruntime, by turns.

onnx_batch.py FOLDER BENCH ROWS
"""

import json
import os
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


def rust(threads):
    command = [bench, "batch", "--out", folder, "--rows", str(rows), "--seconds", str(SECONDS)]
    environment = os.environ | ({"RAYON_NUM_THREADS": str(threads)} if threads else {})
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)


# 0 threads: as many as each takes by itself.
THREADS = {"1 thread": 1, "default threads": 0}
sessions = {name: session(threads) for name, threads in THREADS.items()}
want = numpy.fromfile(f"{folder}/logits.f32", "<f4").reshape(-1, 3)
got = next(iter(sessions.values())).run(["logits"], {"inputs": known})[0]
off = float(numpy.abs(got - want).max())
print(f"logits of {len(known)} customers: the largest difference is {off:.1e}")
assert off <= 1e-4, "both say the same"
times = {(who, name): [] for name in THREADS for who in ["kiki", "onnxruntime"]}
for _ in range(ROUNDS):
    for name, threads in THREADS.items():
        times["kiki", name].append(rust(threads))
        times["onnxruntime", name].append(onnx(sessions[name]))
print(f"\n| {rows:,} rows of 40-64-32-3 | p50 (median [least–most] of {ROUNDS}) | kiki is |")
print("|---|---|---|")
slower = []
for (who, name), of in times.items():
    ratio = statistics.median(of) / statistics.median(times["kiki", name])
    print(f"| {who}, {name} | {statistics.median(of):.0f} µs [{min(of):.0f}–{max(of):.0f}] | {ratio:.2f}× as fast |")
    if ratio < 1.0:
        slower.append(f"{who}, {name}")
if slower:
    sys.exit(f"error: slower than {slower}")
