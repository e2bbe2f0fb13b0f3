"""Golden cases of layers: construction arguments, state dict keys, outputs, gradients, updated buffers."""

import torch.nn.functional as F
from torch import nn

from golden import Suite, integers, normal, snake, values

suite = Suite("layers")


def add(kind, label, args, inputs, options=None, train=True, forward=None, fixed=()):
    """A layer kind(*args, **options) applied to inputs; forward(module, *inputs) replaces the plain call."""
    options = options or {}
    module = getattr(nn, kind)(*args, **snake(options))
    module.train(train)
    call = (lambda *inputs: forward(module, *inputs)) if forward else None
    suite.add_layer(kind, label, module, inputs, {"args": args, "options": options, "train": train}, call, fixed)


def linear_and_convolution():
    add("Linear", "", [4, 3], {"x": normal(5, 4)})
    add("Linear", "3-D input", [4, 2], {"x": normal(2, 3, 4)})
    add("Linear", "no bias", [4, 3], {"x": normal(2, 4)}, {"bias": False})
    add("Conv1d", "", [2, 3, 3], {"x": normal(2, 2, 7)}, {"stride": 2, "padding": 1})
    add("Conv2d", "", [2, 3, 3], {"x": normal(2, 2, 5, 5)}, {"stride": 2, "padding": 1})
    add(
        "Conv2d",
        "uneven kernel, groups, no bias",
        [4, 4, [1, 3]],
        {"x": normal(1, 4, 3, 6)},
        {"groups": 2, "dilation": [1, 2], "bias": False},
    )
    for mode in ["reflect", "replicate", "circular"]:
        add("Conv2d", mode, [2, 2, 3], {"x": normal(1, 2, 4, 5)}, {"padding": [1, 2], "paddingMode": mode})
    add("Conv3d", "", [2, 2, 2], {"x": normal(1, 2, 3, 4, 3)}, {"padding": 1, "stride": 2})
    add("ConvTranspose1d", "", [2, 3, 3], {"x": normal(1, 2, 5)}, {"stride": 2, "padding": 1, "outputPadding": 1})
    add("ConvTranspose2d", "", [2, 3, 3], {"x": normal(1, 2, 3, 4)}, {"stride": 2, "padding": 1, "outputPadding": 1})
    add("ConvTranspose2d", "groups", [4, 2, 2], {"x": normal(1, 4, 3, 3)}, {"groups": 2, "dilation": 2})
    add("ConvTranspose3d", "", [1, 2, 2], {"x": normal(1, 1, 2, 3, 2)}, {"stride": 2})


def normalization():
    for train in [True, False]:
        mode = "train" if train else "eval"
        add("BatchNorm1d", mode, [3], {"x": normal(6, 3)}, train=train)
        add("BatchNorm1d", f"3-D {mode}", [3], {"x": normal(2, 3, 5)}, train=train)
        add("BatchNorm2d", mode, [3], {"x": normal(2, 3, 4, 3)}, train=train)
        add("BatchNorm3d", mode, [2], {"x": normal(2, 2, 2, 3, 2)}, train=train)
    add("BatchNorm2d", "options", [2], {"x": normal(2, 2, 3, 3)}, {"eps": 1e-3, "momentum": 0.3, "affine": False})
    add(
        "BatchNorm2d",
        "batch statistics in eval",
        [2],
        {"x": normal(2, 2, 3, 3)},
        {"trackRunningStats": False},
        train=False,
    )
    far = {"x": lambda rng: 10 + rng.standard_normal((2, 3, 3, 4))}
    add("BatchNorm2d", "far from zero", [3], far)
    add("LayerNorm", "far from zero", [[4]], far)
    add("LayerNorm", "", [[5]], {"x": normal(2, 3, 5)})
    add("LayerNorm", "two axes", [[3, 4]], {"x": normal(2, 3, 4)}, {"eps": 1e-3})
    add("LayerNorm", "not affine", [[5]], {"x": normal(3, 5)}, {"elementwiseAffine": False})
    add("RMSNorm", "", [[5]], {"x": normal(2, 3, 5)}, {"eps": 1e-6})
    add("GroupNorm", "", [2, 4], {"x": normal(2, 4, 3, 3)})
    add("GroupNorm", "not affine", [3, 6], {"x": normal(2, 6, 4)}, {"affine": False})
    add("InstanceNorm1d", "", [2], {"x": normal(2, 2, 6)})
    add("InstanceNorm2d", "affine", [3], {"x": normal(2, 3, 3, 4)}, {"affine": True})
    add(
        "InstanceNorm2d",
        "running statistics",
        [2],
        {"x": normal(2, 2, 3, 3)},
        {"affine": True, "trackRunningStats": True},
    )
    add(
        "InstanceNorm2d",
        "running statistics, eval",
        [2],
        {"x": normal(2, 2, 3, 3)},
        {"affine": True, "trackRunningStats": True},
        train=False,
    )
    add("InstanceNorm3d", "", [2], {"x": normal(1, 2, 2, 3, 2)}, {"eps": 1e-4})


def recurrent():
    for kind in ["RNN", "GRU", "LSTM"]:
        add(kind, "", [3, 4], {"x": normal(5, 2, 3)})
        add(kind, "batch first, no bias", [3, 2], {"x": normal(2, 4, 3)}, {"batchFirst": True, "bias": False})
        add(kind, "two layers, bidirectional", [2, 3], {"x": normal(4, 2, 2)}, {"numLayers": 2, "bidirectional": True})
    add("RNN", "relu", [3, 4], {"x": normal(5, 2, 3)}, {"nonlinearity": "relu"})
    add("RNN", "initial state", [3, 2], {"x": normal(3, 2, 3), "h": normal(2, 2, 2)}, {"numLayers": 2})
    add("GRU", "initial state", [3, 2], {"x": normal(3, 2, 3), "h": normal(2, 2, 2)}, {"bidirectional": True})
    add(
        "LSTM",
        "initial state",
        [3, 2],
        {"x": normal(2, 3, 3), "h": normal(1, 2, 2), "c": normal(1, 2, 2)},
        {"batchFirst": True},
        forward=lambda m, x, h, c: m(x, (h, c)),
    )


def attention():
    def sdpa(label, q, k, v, attrs=None, **extra):
        fixed = [name for name in extra]
        suite.add(
            "scaledDotProductAttention",
            label,
            lambda q, k, v, mask=None, **kw: F.scaled_dot_product_attention(q, k, v, mask, **kw),
            {"query": normal(*q), "key": normal(*k), "value": normal(*v)} | extra,
            attrs,
            fixed,
        )

    sdpa("", (2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3))
    sdpa("causal", (1, 2, 4, 3), (1, 2, 4, 3), (1, 2, 4, 3), {"isCausal": True})
    sdpa("scale", (2, 3, 4), (2, 3, 4), (2, 3, 4), {"scale": 0.25})
    allowed = values([[True, False, True, True], [True, True, False, False], [False, False, False, True]])
    sdpa("boolean mask", (1, 2, 3, 4), (1, 2, 4, 4), (1, 2, 4, 4), mask=allowed)
    sdpa("additive mask", (2, 2, 3, 4), (2, 2, 4, 4), (2, 2, 4, 4), mask=normal(2, 1, 3, 4))

    def self_attention(module, x, **kw):
        return module(x, x, x, **kw)

    add("MultiheadAttention", "self", [4, 2], {"x": normal(2, 3, 4)}, {"batchFirst": True}, forward=self_attention)
    add("MultiheadAttention", "sequence first", [4, 2], {"x": normal(3, 2, 4)}, forward=self_attention)
    add(
        "MultiheadAttention",
        "no bias",
        [6, 3],
        {"x": normal(1, 3, 6)},
        {"bias": False, "batchFirst": True},
        forward=self_attention,
    )
    add(
        "MultiheadAttention",
        "cross",
        [4, 2],
        {"query": normal(2, 3, 4), "key": normal(2, 5, 4), "value": normal(2, 5, 4)},
        {"batchFirst": True},
    )
    add(
        "MultiheadAttention",
        "other widths",
        [4, 2],
        {"query": normal(2, 3, 4), "key": normal(2, 5, 3), "value": normal(2, 5, 2)},
        {"kdim": 3, "vdim": 2, "batchFirst": True},
    )
    # torch: true marks a key that may not be attended to
    add(
        "MultiheadAttention",
        "masks",
        [4, 2],
        {
            "x": normal(2, 3, 4),
            "keyPaddingMask": values([[False, False, True], [False, False, False]]),
            "attnMask": values([[False, True, True], [False, False, True], [False, False, False]]),
        },
        {"batchFirst": True},
        forward=lambda m, x, padding, causal: m(x, x, x, key_padding_mask=padding, attn_mask=causal),
    )


def lookup():
    add("Embedding", "", [5, 3], {"index": integers(0, 5, 2, 4)})
    add("Embedding", "padding index", [5, 3], {"index": values([[0, 2, 2, 1]])}, {"paddingIdx": 2})
    add("Upsample", "nearest", [], {"x": normal(1, 2, 2, 3)}, {"scaleFactor": 2, "mode": "nearest"})
    add(
        "Upsample",
        "bilinear",
        [],
        {"x": normal(1, 2, 2, 3)},
        {"size": [4, 5], "mode": "bilinear", "alignCorners": True},
    )


if __name__ == "__main__":
    linear_and_convolution()
    normalization()
    recurrent()
    attention()
    lookup()
    suite.write()
