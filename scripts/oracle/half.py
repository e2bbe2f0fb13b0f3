"""Golden cases in bf16 and f16: a representative set of operations, mixed precision, and dynamic loss scaling.

half.*: <dtype> <kind> as golden.py lays them out, inputs, cotangents, outputs and gradients in the 16-bit dtype itself.
autocast.*: networks with f32 parameters under torch.autocast: <dtype> <kind>/in/*, /out/0 (as torch gives it) and the f32
gradients /grad/* of the sum of the outputs times /ct/0.
scaler.*: torch.amp.GradScaler on a series of gradients of which some overflow: the parameters, scales and growth
trackers after every step.
"""

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from golden import Suite, draw, flatten, generator, integers, normal, snake, uniform

DTYPES = {"bf16": torch.bfloat16, "f16": torch.float16}


class HalfSuite(Suite):
    """Cases whose tensors have the dtypes that torch gives them."""

    save = staticmethod(save_file)

    def put(self, key, tensor):
        tensor = tensor.detach()
        if tensor.dtype == torch.int64:
            tensor = tensor.to(torch.int32)
        assert not tensor.is_floating_point() or tensor.isfinite().all(), f"{key} is not finite"
        self.tensors[key] = tensor.contiguous().clone()

    def add_in(self, dtype, kind, fn, inputs, attrs=None, autocast=False):
        """Record fn(*inputs, **attrs) and its gradients; inputs are of `dtype`, or f32 under autocast."""
        name = f"{dtype} {kind}"
        own = torch.float32 if autocast else DTYPES[dtype]
        rng = generator(kind)
        tensors = {}
        for key, spec in inputs.items():
            t = draw(spec, rng)
            tensors[key] = t.to(own).requires_grad_() if t.is_floating_point() else t
            self.put(f"{name}/in/{key}", tensors[key])
        with torch.autocast("cpu", DTYPES[dtype], enabled=autocast):
            outputs = flatten(fn(*tensors.values(), **snake(attrs or {})))
        live = [(i, o) for i, o in enumerate(outputs) if o.requires_grad]
        cotangents = [draw(normal(*o.shape), rng).to(o.dtype) for _, o in live]
        for i, o in enumerate(outputs):
            self.put(f"{name}/out/{i}", o)
        for (i, _), ct in zip(live, cotangents, strict=True):
            self.put(f"{name}/ct/{i}", ct)
        leaves = {k: t for k, t in tensors.items() if t.requires_grad}
        grads = torch.autograd.grad([o for _, o in live], list(leaves.values()), cotangents) if live else []
        for key, g in zip(leaves, grads):
            self.put(f"{name}/grad/{key}", g)
        extra = {"dtype": dtype}
        self.record(name, kind, attrs, list(inputs), list(leaves) if live else [], outputs, **extra)


def lstm(x, w_ih, w_hh, b_ih, b_hh):
    zeros = x.new_zeros(1, x.shape[1], w_hh.shape[1])
    return torch.lstm(x, (zeros, zeros), [w_ih, w_hh, b_ih, b_hh], True, 1, 0.0, False, False, False)[0]


LSTM_INPUTS = {
    "x": normal(5, 2, 3),
    "weightIh": normal(16, 3, scale=0.5),
    "weightHh": normal(16, 4, scale=0.5),
    "biasIh": normal(16, scale=0.5),
    "biasHh": normal(16, scale=0.5),
}


def operations(suite, dtype):
    def add(kind, fn, inputs, attrs=None):
        suite.add_in(dtype, kind, fn, inputs, attrs)

    pair = {"a": normal(4, 6), "b": normal(4, 6)}
    add("add", torch.add, {"a": normal(4, 6), "b": normal(6)})
    add("sub", torch.sub, pair)
    add("mul", torch.mul, pair)
    add("div", torch.div, {"a": normal(4, 6), "b": uniform(0.5, 2, 4, 6)})
    add("pow", torch.pow, {"a": uniform(0.5, 2, 4, 6), "b": uniform(-2, 2, 4, 6)})
    add("maximum", torch.maximum, pair)
    for kind in ["exp", "expm1", "tanh", "sin", "cos", "atan", "erf", "abs", "neg"]:
        add(kind, getattr(torch, kind), {"x": normal(4, 8)})
    for kind in ["log", "log1p", "sqrt", "rsqrt", "reciprocal"]:
        add(kind, getattr(torch, kind), {"x": uniform(0.2, 4, 4, 8)})
    for kind in ["sigmoid", "silu", "gelu", "elu", "softplus", "mish", "hardswish", "relu"]:
        add(kind, getattr(torch, "sigmoid") if kind == "sigmoid" else getattr(F, kind), {"x": normal(4, 8)})
    add("softmax", lambda x: torch.softmax(x, -1), {"x": normal(3, 10)})
    add("logSoftmax", lambda x: torch.log_softmax(x, -1), {"x": normal(3, 10)})
    add("sum", lambda x: x.sum(1), {"x": normal(3, 300)})
    add("mean", lambda x: x.mean((0, 2)), {"x": normal(5, 3, 50)})
    add("prod", lambda x: x.prod(1), {"x": uniform(0.5, 1.5, 3, 7)})
    add("max", lambda x: x.amax(1), {"x": normal(3, 9)})
    add("cumsum", lambda x: x.cumsum(1), {"x": normal(2, 20)})
    add("variance", lambda x: x.var(1), {"x": normal(3, 40)})
    add("norm", lambda x: x.norm(dim=1), {"x": normal(3, 20)})
    add("logsumexp", lambda x: x.logsumexp(1), {"x": normal(3, 10)})
    add("matmul", torch.matmul, {"a": normal(5, 40), "b": normal(40, 7)})
    add("matmul batched", torch.matmul, {"a": normal(3, 4, 6), "b": normal(3, 6, 5)})
    add("linear", F.linear, {"x": normal(5, 32), "weight": normal(6, 32, scale=0.3), "bias": normal(6)})
    conv = {"x": normal(2, 3, 8, 8), "weight": normal(4, 3, 3, 3, scale=0.3), "bias": normal(4)}
    add("conv2d", lambda x, w, b: F.conv2d(x, w, b, padding=1, stride=2), conv)
    transposed = {"x": normal(2, 3, 5, 5), "weight": normal(3, 4, 3, 3, scale=0.3), "bias": normal(4)}
    add("convTranspose2d", lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2), transposed)
    add("layerNorm", lambda x, w, b: F.layer_norm(x, [12], w, b), {"x": normal(4, 12), "weight": normal(12), "bias": normal(12)})
    add("groupNorm", lambda x, w, b: F.group_norm(x, 2, w, b), {"x": normal(2, 4, 6), "weight": normal(4), "bias": normal(4)})
    add(
        "batchNorm",
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        {"x": normal(4, 3, 5), "weight": normal(3), "bias": normal(3)},
    )
    add("avgPool2d", lambda x: F.avg_pool2d(x, 3, stride=2, padding=1), {"x": normal(1, 2, 7, 7)})
    add("maxPool2d", lambda x: F.max_pool2d(x, 2), {"x": normal(1, 2, 6, 6)})
    add("attention", F.scaled_dot_product_attention, {"q": normal(2, 5, 8), "k": normal(2, 7, 8), "v": normal(2, 7, 8)})
    add("embedding", lambda index, weight: F.embedding(index, weight), {"index": integers(0, 5, 2, 9), "weight": normal(5, 3)})
    add("crossEntropy", lambda x, y: F.cross_entropy(x, y), {"x": normal(6, 5), "y": integers(0, 5, 6)})
    add("mse", F.mse_loss, {"a": normal(4, 6), "b": normal(4, 6)})
    add("sort", lambda x: torch.sort(x, dim=1, stable=True), {"x": normal(3, 6)})
    add("lstm", lstm, LSTM_INPUTS)


def networks(suite, dtype):
    def add(kind, fn, inputs):
        suite.add_in(dtype, kind, fn, inputs, autocast=True)

    def mlp(x, y, w1, b1, w2, b2):
        return F.cross_entropy(F.linear(F.gelu(F.linear(x, w1, b1)), w2, b2), y)

    def cnn(x, y, w1, g1, b1, w2, w3, b3):
        h = F.relu(F.batch_norm(F.conv2d(x, w1, padding=1), None, None, g1, b1, training=True))
        h = F.conv2d(h, w2, stride=2).mean((2, 3))
        return F.cross_entropy(F.linear(h, w3, b3), y)

    def block(x, w_qkv, w_out, g, b):
        q, k, v = F.linear(F.layer_norm(x, [8], g, b), w_qkv).chunk(3, -1)
        return x + F.linear(F.scaled_dot_product_attention(q, k, v), w_out)

    dense = lambda *shape: normal(*shape, scale=0.3)  # noqa: E731
    add(
        "mlp",
        mlp,
        {"x": normal(8, 12), "y": integers(0, 5, 8), "w1": dense(16, 12), "b1": dense(16), "w2": dense(5, 16), "b2": dense(5)},
    )
    add(
        "cnn",
        cnn,
        {
            "x": normal(4, 3, 8, 8),
            "y": integers(0, 5, 4),
            "w1": dense(6, 3, 3, 3),
            "g1": uniform(0.5, 1.5, 6),
            "b1": dense(6),
            "w2": dense(8, 6, 3, 3),
            "w3": dense(5, 8),
            "b3": dense(5),
        },
    )
    add("block", block, {"x": normal(2, 6, 8), "wQkv": dense(24, 8), "wOut": dense(8, 8), "g": uniform(0.5, 1.5, 8), "b": dense(8)})


def scaler(suite):
    """Gradients times the scale, as backward would leave them; some are infinite or NaN, once two in a row."""
    rng = generator("gradient scaler")
    steps = 24
    grads = torch.stack([draw(normal(5), rng) for _ in range(steps)]).float()
    bad = {0: float("inf"), 1: float("nan"), 7: float("-inf"), 8: float("inf"), 20: float("nan")}
    overflow = torch.zeros(steps)
    for step, value in bad.items():
        overflow[step] = 1
    start = draw(normal(5), rng).float()
    # NaN and infinities of the series are put in by the test: fixtures are finite.
    suite.put("series/grads", grads)
    suite.put("series/overflow", overflow)
    suite.put("series/start", start)
    rules = {"sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}), "adamW": (torch.optim.AdamW, {"lr": 0.05, "weightDecay": 0.1})}
    for kind, (rule, attrs) in rules.items():
        weight = nn.Parameter(start.clone())
        optimizer = rule([weight], **snake(attrs))
        scale = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=4)
        path, scales, trackers = [], [], []
        for step in range(steps):
            factor = scale.scale(torch.ones(()))
            weight.grad = grads[step] * factor
            if step in bad:
                weight.grad[2] = bad[step]
            scale.step(optimizer)
            scale.update()
            path.append(weight.detach().clone())
            scales.append(scale.get_scale())
            trackers.append(scale._get_growth_tracker())
        suite.put(f"{kind}/weight", torch.stack(path))
        suite.put(f"{kind}/scale", torch.tensor(scales, dtype=torch.float32))
        suite.put(f"{kind}/tracker", torch.tensor(trackers, dtype=torch.int32))
        suite.record(kind, kind, attrs, [], [], [])


if __name__ == "__main__":
    for family, fill in {"half": operations, "autocast": networks}.items():
        suite = HalfSuite(family)
        for dtype in DTYPES:
            fill(suite, dtype)
        suite.write()
    suite = HalfSuite("scaler")
    scaler(suite)
    suite.write()
