"""OpenVINO: its ScaledDotProductAttention, compiled for latency."""

import numpy as np
import openvino
from openvino import opset13

from peers import Unsupported

NAME = "OpenVINO"


def version():
    return openvino.__version__.split("-")[0]


def ways(case, arrays):
    if case.direction != "forward":
        raise Unsupported("no backward pass")
    if case.shape["heads"] != case.shape["kv_heads"]:
        raise Unsupported("no grouped heads in its operator")
    core = openvino.Core()
    if case.dtype == "fp16":
        raise Unsupported("its CPU plugin computes fp16 in fp32")
    if case.dtype == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unsupported("no bf16 on this processor")
    s = case.shape
    inputs = [arrays[name] for name in ("q", "k", "v")]
    parameters = [opset13.parameter(x.shape, np.float32) for x in inputs]
    attention = opset13.scaled_dot_product_attention(*parameters, causal=s["causal"])
    compiled = core.compile_model(openvino.Model([attention], parameters), "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": case.threads,
        "INFERENCE_PRECISION_HINT": "bf16" if case.dtype == "bf16" else "f32"})
    request = compiled.create_infer_request()
    for index, x in enumerate(inputs):
        request.set_input_tensor(index, openvino.Tensor(x, shared_memory=True))

    def step():
        request.infer()
        return request

    step.inputs = inputs  # shared with the request, which does not keep them
    return [("ScaledDotProductAttention", step, lambda r: r.get_output_tensor(0).data.copy())]
