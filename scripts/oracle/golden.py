"""Golden cases: PyTorch's values and gradients, written as small fixtures for test/golden.

A case is one call of one kind of operation. Its random inputs are a function of its name, so adding a case changes
no other. Inputs and cotangents are float64 tensors whose values float32 holds exactly; they are stored as F32, and
everything expected as F64, so one fixture judges the engine in both precisions.

Tensors of a case in <family>.safetensors:
    <name>/in/<input>        input                                F32, I32 or BOOL
    <name>/out/<i>           expected output i                    F64, I32 or BOOL
    <name>/ct/<i>            cotangent of output i                F32
    <name>/grad/<input>      expected gradient of sum_i <out_i, ct_i>   F64
    <name>/state/<key>       (layers) state dict before the call  F32
    <name>/after/<key>       (layers) buffers after the call      F64
<family>.json lists the cases: name, kind, attrs, the inputs in call order, those with a gradient, and the number of
outputs.
"""

import json
import re
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

FIXTURES = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "golden"

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def normal(*shape, scale=1.0):
    """Input drawn from N(0, scale^2)."""
    return lambda rng: scale * rng.standard_normal(shape)


def uniform(low, high, *shape):
    """Input drawn from [low, high)."""
    return lambda rng: rng.uniform(low, high, shape)


def integers(low, high, *shape):
    """Integer input drawn from low .. high - 1."""
    return lambda rng: rng.integers(low, high, shape)


def mask(*shape, p=0.5):
    """Boolean input, true with probability p."""
    return lambda rng: rng.random(shape) < p


def values(data):
    """Input with the given values."""
    return lambda rng: np.array(data)


def draw(spec, rng):
    """The tensor of an input spec: float64 holding float32 values, int64 or bool."""
    array = np.asarray(spec(rng))
    if array.dtype.kind == "f":
        array = array.astype(np.float32).astype(np.float64)
    return torch.from_numpy(np.array(array))


def generator(name):
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def snake(attrs):
    """camelCase option names as PyTorch spells them."""
    return {re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), k): v for k, v in attrs.items()}


def flat_pads(pads):
    """NumPy's [[before, after], ...] per axis as torch's flat list, last axis first."""
    return [n for pair in reversed(pads) for n in pair]


def flatten(outputs):
    """The tensors of nested tuples, in order; absent ones (None) are left out."""
    if outputs is None:
        return []
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [t for o in outputs for t in flatten(o)]


def state_value(key, like, rng):
    """A random value for a parameter or buffer: variances are positive, counters stay."""
    if not like.is_floating_point():
        return like
    spec = uniform(0.5, 2, *like.shape) if key.endswith("running_var") else normal(*like.shape, scale=0.6)
    return draw(spec, rng)


def exact(tensor):
    """For storage: floats as F32 (they must fit), integers as I32, booleans as BOOL."""
    array = tensor.detach().numpy()
    if array.dtype.kind == "f":
        small = array.astype(np.float32)
        assert np.array_equal(small, array, equal_nan=True), "input is not exactly representable in float32"
        return small
    return array.astype(np.int32) if array.dtype.kind == "i" else array


def expected(tensor):
    """For storage: floats as F64, integers as I32, booleans as BOOL."""
    array = tensor.detach().numpy()
    return array.astype(np.int32) if array.dtype.kind == "i" else array


class Suite:
    """The cases of one family."""

    save = staticmethod(save_file)

    def __init__(self, family):
        self.family = family
        self.cases = []
        self.tensors = {}

    def add(self, kind, label, fn, inputs, attrs=None, fixed=()):
        """Record fn(*inputs, **snake(attrs)), its outputs, and gradients for the float inputs that are not fixed."""
        name = f"{kind} {label}".strip()
        rng = generator(name)
        tensors, leaves = self.draw_inputs(name, rng, inputs, fixed)
        outputs = flatten(fn(*tensors.values(), **snake(attrs or {})))
        grads = self.backward(name, rng, outputs, leaves)
        self.record(name, kind, attrs, list(inputs), grads, outputs)

    def add_layer(self, kind, label, module, inputs, attrs, forward=None, fixed=()):
        """Record a call of a module with random parameters and buffers; gradients also for its parameters."""
        name = f"{kind} {label}".strip()
        rng = generator(name)
        module.load_state_dict({k: state_value(k, v, rng) for k, v in module.state_dict().items()})
        keys = list(module.state_dict())
        for k, v in module.state_dict().items():
            self.put(f"{name}/state/{k}", exact(v))
        tensors, leaves = self.draw_inputs(name, rng, inputs, fixed)
        outputs = flatten((forward or module)(*tensors.values()))
        for k, v in module.named_buffers():
            self.put(f"{name}/after/{k}", expected(v))
        grads = self.backward(name, rng, outputs, leaves | dict(module.named_parameters()))
        self.record(name, kind, attrs, list(inputs), grads, outputs, state=keys)

    def draw_inputs(self, name, rng, inputs, fixed):
        """Draw and store the inputs; returns all of them, and those that want a gradient."""
        tensors = {k: draw(spec, rng) for k, spec in inputs.items()}
        for k, t in tensors.items():
            self.put(f"{name}/in/{k}", exact(t))
        leaves = {k: t.requires_grad_() for k, t in tensors.items() if t.is_floating_point() and k not in fixed}
        return tensors, leaves

    def backward(self, name, rng, outputs, leaves):
        """Store outputs, cotangents and gradients; returns the names of the leaves that have a gradient."""
        live = [(i, o) for i, o in enumerate(outputs) if o.requires_grad]
        cotangents = [draw(normal(*o.shape), rng) for _, o in live]
        for i, o in enumerate(outputs):
            self.put(f"{name}/out/{i}", expected(o))
        for (i, _), ct in zip(live, cotangents, strict=True):
            self.put(f"{name}/ct/{i}", exact(ct))
        if not live:
            return []
        grads = torch.autograd.grad([o for _, o in live], list(leaves.values()), cotangents, allow_unused=True)
        found = {k: g for k, g in zip(leaves, grads, strict=True) if g is not None}
        for k, g in found.items():
            self.put(f"{name}/grad/{k}", expected(g))
        return list(found)

    def record(self, name, kind, attrs, inputs, grads, outputs, **extra):
        assert all(c["name"] != name for c in self.cases), f"two cases named {name!r}"
        self.cases.append(
            {
                "name": name,
                "kind": kind,
                "attrs": attrs or {},
                "inputs": inputs,
                "grads": grads,
                "outputs": len(outputs),
            }
            | extra
        )

    def put(self, key, array):
        assert np.isfinite(array).all() or "/in/" in key, f"{key} is not finite"
        self.tensors[key] = np.array(array, order="C")  # a copy

    def write(self):
        FIXTURES.mkdir(parents=True, exist_ok=True)
        path = FIXTURES / f"{self.family}.safetensors"
        self.save(self.tensors, path)
        path.chmod(0o644)
        lines = ",\n".join(json.dumps(c) for c in self.cases)
        (FIXTURES / f"{self.family}.json").write_text(f"[\n{lines}\n]\n")
        print(f"{self.family}: {len(self.cases)} cases, {path.stat().st_size / 1024:.0f} KiB")
