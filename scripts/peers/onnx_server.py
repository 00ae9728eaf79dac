"""The network behind Python's grpcio: onnx_server.py FOLDER PORT.

It keeps every customer's inputs ready, so that a question costs it the network alone.
"""

import json
import sys
from concurrent import futures

import grpc
import numpy
import onnxruntime

folder, port = sys.argv[1:]
sys.path.insert(0, folder)
import open_inference_pb2 as oip  # noqa: E402
import open_inference_pb2_grpc as service  # noqa: E402


class Inference(service.GRPCInferenceServiceServicer):
    def __init__(self):
        options = onnxruntime.SessionOptions()
        # One row is no work for two threads, and requests are answered beside each other.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            f"{folder}/network.onnx", options, providers=["CPUExecutionProvider"]
        )
        reading = json.load(open(f"{folder}/reading.json"))
        self.factor = reading["factor"]
        self.ln_unit = numpy.log(reading["target_unit"])
        rows = numpy.fromfile(f"{folder}/inputs.f32", "<f4").reshape(-1, reading["width"])
        ids = open(f"{folder}/customers.txt").read().split()
        self.inputs = {name: rows[at : at + 1].copy() for at, name in enumerate(ids)}

    def ModelInfer(self, request, context):
        customers = request.inputs[0].contents.bytes_contents
        rows = [self.inputs[name.decode()] for name in customers]
        inputs = rows[0] if len(rows) == 1 else numpy.concatenate(rows)
        odds, mu, raw = self.session.run(["logits"], {"inputs": inputs})[0].astype(float).T
        # Expected spend: zero-inflated log-normal.
        sigma = numpy.log1p(numpy.exp(raw))
        mean = numpy.exp(mu + self.ln_unit + sigma * sigma / 2) / (1 + numpy.exp(-odds))
        answer = oip.ModelInferResponse(model_name=request.model_name, id=request.id)
        output = answer.outputs.add(name="predicted_ltv", datatype="FP64", shape=[len(rows)])
        output.contents.fp64_contents.extend((self.factor * mean).tolist())
        return answer


server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
service.add_GRPCInferenceServiceServicer_to_server(Inference(), server)
server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
print("ready", flush=True)
server.wait_for_termination()
