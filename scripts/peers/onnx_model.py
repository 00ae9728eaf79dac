"""The dense layers of a network of kiki's as ONNX: onnx_model.py FOLDER writes FOLDER/network.onnx."""

import json
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

# Fits every onnxruntime of the last years.
OPSET, IR = 17, 9


def tensors(path):
    """The tensors of a file of safetensors."""
    data = open(path, "rb").read()
    length = int.from_bytes(data[:8], "little")
    for name, of in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            start, end = (8 + length + at for at in of["data_offsets"])
            yield name, numpy.frombuffer(data[start:end], "<f4").reshape(of["shape"])


def main(folder):
    weights = dict(tensors(f"{folder}/network.safetensors"))
    nodes, initial, at = [], [], "inputs"
    for layer in ("first", "second", "last"):
        for part in ("weight", "bias"):
            name = f"{layer}.{part}"
            initial.append(numpy_helper.from_array(weights[f"0.{name}"].copy(), name))
        to = "logits" if layer == "last" else f"{layer}.sum"
        nodes.append(helper.make_node("Gemm", [at, f"{layer}.weight", f"{layer}.bias"], [to]))
        if layer != "last":
            nodes.append(helper.make_node("Sigmoid", [to], [f"{layer}.gate"]))
            nodes.append(helper.make_node("Mul", [to, f"{layer}.gate"], [layer]))
            at = layer
    width = weights["0.first.weight"].shape[0]
    shapes = [weights[f"0.{layer}.weight"].shape for layer in ("first", "second", "last")]
    assert shapes == [(40, 64), (64, 32), (32, 3)], shapes
    value = lambda name, columns: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", columns])
    graph = helper.make_graph(nodes, "dense", [value("inputs", width)], [value("logits", 3)], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, f"{folder}/network.onnx")


main(sys.argv[1])
