"""ONNX Runtime: its three operators that are attention, each a model of one node."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from peers import Unsupported

NAME = "ONNX Runtime"
CONTRIB = "com.microsoft"


def version():
    return onnxruntime.__version__


def session(node, inputs, outputs, threads):
    """inputs: name -> array; outputs: names."""
    types = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}
    graph = helper.make_graph(
        [node], "attention",
        [helper.make_tensor_value_info(name, types[x.dtype], x.shape) for name, x in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs])
    model = helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", 23), helper.make_opsetid(CONTRIB, 1)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def bound(node, inputs, outputs, threads, in_place=()):
    """A step that copies no inputs. in_place: (output, the input whose memory it shares)."""
    ready = session(node, inputs, outputs, threads)
    binding = ready.io_binding()
    values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(x) for name, x in inputs.items()}
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    shared = dict(in_place)
    for name in outputs:
        if name in shared:
            binding.bind_ortvalue_output(name, values[shared[name]])
        else:
            binding.bind_output(name)

    def step():
        ready.run_with_iobinding(binding)
        return binding.get_outputs()[0]

    step.inputs = inputs  # the values may share their memory
    return step


def side_by_side(x):
    """[batch, heads, rows, dim] as [batch, rows, heads * dim]."""
    batch, heads, rows, dim = x.shape
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(batch, rows, heads * dim)


def ways(case, arrays):
    if case.direction != "forward" or case.dtype != "fp32":
        raise Unsupported("measured forward in fp32 only")
    s = case.shape
    q, k, v = (arrays[name] for name in ("q", "k", "v"))
    grouped = s["heads"] != s["kv_heads"]
    decode = s["queries"] != s["keys"]

    def fetch_rows(x):
        return x.numpy().reshape(s["batch"], s["queries"], s["heads"], s["dim"]).transpose(0, 2, 1, 3)

    def standard():
        node = helper.make_node("Attention", ["q", "k", "v"], ["out"], is_causal=int(s["causal"]))
        return bound(node, {"q": q, "k": k, "v": v}, ["out"], case.threads), lambda x: x.numpy()

    def multi_head():
        if grouped:
            raise Unsupported("no grouped heads")
        node = helper.make_node("MultiHeadAttention", ["q", "k", "v"], ["out"], domain=CONTRIB,
                                num_heads=s["heads"], unidirectional=int(s["causal"]))
        inputs = {"q": side_by_side(q), "k": k, "v": v}
        return bound(node, inputs, ["out"], case.threads), fetch_rows

    def group_query():
        if not s["causal"] and not decode:
            raise Unsupported("always causal")
        # While decoding, a cache of full length that the new key and value are written into.
        past = s["keys"] if decode else 0
        cache = {"in_place": [("present_k", "past_k"), ("present_v", "past_v")]} if decode else {}
        node = helper.make_node(
            "GroupQueryAttention", ["q", "k", "v", "past_k", "past_v", "lengths", "total"],
            ["out", "present_k", "present_v"], domain=CONTRIB, num_heads=s["heads"],
            kv_num_heads=s["kv_heads"])
        inputs = {"q": side_by_side(q), "k": side_by_side(k[:, :, -s["queries"]:]),
                  "v": side_by_side(v[:, :, -s["queries"]:]), "past_k": np.ascontiguousarray(k[:, :, :past]),
                  "past_v": np.ascontiguousarray(v[:, :, :past]),
                  "lengths": np.full((s["batch"],), s["keys"] - 1, np.int32),
                  "total": np.array([s["keys"]], np.int32)}
        outputs = ["out", "present_k", "present_v"]
        return bound(node, inputs, outputs, case.threads, **cache), fetch_rows

    found, reasons = [], []
    for label, make in (("Attention", standard), ("MultiHeadAttention", multi_head),
                        ("GroupQueryAttention", group_query)):
        try:
            step, fetch = make()
            step(), step()
            found.append((label, step, fetch))
        except Exception as error:  # each operator refuses other things in another way
            reasons.append(f"{label}: {str(error).splitlines()[0][:90]}")
    if not found:
        raise Unsupported("; ".join(reasons))
    return found
