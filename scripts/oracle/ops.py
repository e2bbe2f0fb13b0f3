"""Golden cases of elementwise operations, reductions, movement, contraction and indexing."""

import math

import torch
import torch.nn.functional as F

from golden import Suite, flat_pads, integers, mask, normal, uniform, values

suite = Suite("ops")

UNARY = {
    "neg": torch.neg,
    "abs": torch.abs,
    "sign": torch.sign,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "square": torch.square,
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "erf": torch.erf,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "round": torch.round,
    "sigmoid": torch.sigmoid,
    "relu": F.relu,
    "leakyRelu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    # F.hardsigmoid's float64 gradient has only float32 accuracy
    "hardsigmoid": lambda x: F.relu6(x + 3) / 6,
    "relu6": F.relu6,
    "selu": F.selu,
    "logSigmoid": F.logsigmoid,
    "softsign": F.softsign,
    "hardtanh": F.hardtanh,
}
POSITIVE = {"log": torch.log, "log1p": torch.log1p, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt}
BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "minimum": torch.minimum,
    "maximum": torch.maximum,
}
COMPARE = {"eq": torch.eq, "ne": torch.ne, "lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge}


def elementwise():
    for kind, fn in UNARY.items():
        suite.add(kind, "", fn, {"x": normal(3, 7, scale=2)})
    for kind, fn in POSITIVE.items():
        suite.add(kind, "", fn, {"x": uniform(0.05, 4, 3, 7)})
    suite.add("reciprocal", "", torch.reciprocal, {"x": uniform(-4, -0.2, 3, 7)})
    suite.add("tan", "", torch.tan, {"x": uniform(-1.2, 1.2, 3, 7)})
    suite.add("asin", "", torch.asin, {"x": uniform(-0.9, 0.9, 3, 7)})
    suite.add("acos", "", torch.acos, {"x": uniform(-0.9, 0.9, 3, 7)})

    suite.add("leakyRelu", "slope 0.2", F.leaky_relu, {"x": normal(3, 7)}, {"negativeSlope": 0.2})
    suite.add("elu", "alpha 0.5", F.elu, {"x": normal(3, 7)}, {"alpha": 0.5})
    suite.add("gelu", "tanh", F.gelu, {"x": normal(3, 7, scale=2)}, {"approximate": "tanh"})
    suite.add("softplus", "beta 2", F.softplus, {"x": normal(3, 7)}, {"beta": 2.0})

    suite.add("prelu", "", F.prelu, {"x": normal(2, 3, 4), "weight": uniform(0.1, 0.5, 1)})
    suite.add("prelu", "per channel", F.prelu, {"x": normal(2, 3, 4), "weight": uniform(0.1, 0.5, 3)})
    suite.add("glu", "", lambda x, axis: F.glu(x, axis), {"x": normal(3, 4)}, {"axis": 1})

    # Where a naive formula overflows or cancels; each tail is its own case, so that it sets the scale of the error.
    right, left = [1.0, 20.0, 45.0, 90.0, 200.0], [-1.0, -20.0, -45.0, -90.0, -200.0]
    for kind in ["sigmoid", "tanh", "silu", "mish", "gelu", "softplus", "logSigmoid", "erf", "elu", "softsign"]:
        suite.add(kind, "right tail", UNARY[kind], {"x": values(right)})
    for kind in ["tanh", "softplus", "logSigmoid", "erf", "elu", "softsign"]:
        suite.add(kind, "left tail", UNARY[kind], {"x": values(left)})
    for kind in ["sinh", "cosh"]:
        suite.add(kind, "right tail", UNARY[kind], {"x": values([1.0, 5.0, 10.0, 20.0])})
        suite.add(kind, "left tail", UNARY[kind], {"x": values([-1.0, -5.0, -10.0, -20.0])})
    suite.add("sinh", "near zero", torch.sinh, {"x": values([1e-6, -2e-6, 3e-7])})
    suite.add("atan", "tails", torch.atan, {"x": values([-1e6, -30.0, 0.0, 30.0, 1e6])})
    suite.add("expm1", "near zero", torch.expm1, {"x": values([1e-6, -2e-6, 3e-7])})
    suite.add("log1p", "near zero", torch.log1p, {"x": values([1e-6, -2e-6, 3e-7])})
    suite.add("round", "ties go to even", torch.round, {"x": values([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])})
    kinks = values([-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0])
    for kind in ["abs", "sign", "relu", "leakyRelu", "elu", "relu6", "hardsigmoid", "hardswish", "hardtanh", "selu"]:
        suite.add(kind, "at kinks", UNARY[kind], {"x": kinks})

    for kind, fn in BINARY.items():
        suite.add(kind, "", fn, {"a": normal(3, 4), "b": uniform(0.3, 2, 3, 4)})
        suite.add(kind, "broadcast", fn, {"a": normal(2, 1, 4), "b": uniform(0.3, 2, 3, 1)})
    for kind in ["minimum", "maximum"]:
        suite.add(kind, "ties", BINARY[kind], {"a": values([1.0, 2.0, 3.0]), "b": values([1.0, 3.0, 3.0])})
    for kind, fn in COMPARE.items():
        suite.add(kind, "", fn, {"a": values([[1.0, 2.0, 3.0]]), "b": values([[2.0], [3.0]])})
    suite.add("pow", "", torch.pow, {"a": uniform(0.2, 3, 3, 4), "b": normal(3, 4)})
    suite.add("pow", "broadcast", torch.pow, {"a": uniform(0.2, 3, 2, 3, 1), "b": normal(4)})
    suite.add("pow", "zero base", torch.pow, {"a": values([0.0, 0.0, 0.0, 2.0]), "b": values([0.0, 1.0, 2.0, 0.0])})
    suite.add(
        "pow", "negative base", torch.pow, {"a": values([-1.5, -2.0, -0.5]), "b": values([2.0, 3.0, -2.0])}, fixed=["b"]
    )
    suite.add("powScalar", "0 at zero", lambda x, exponent: x**exponent, {"x": values([0.0, 2.0])}, {"exponent": 0.0})
    for e in [2.0, 3.0, -1.0]:
        suite.add("powScalar", f"{e:g}", lambda x, exponent: x**exponent, {"x": normal(3, 4)}, {"exponent": e})
    suite.add("powScalar", "0.5", lambda x, exponent: x**exponent, {"x": uniform(0.2, 3, 3, 4)}, {"exponent": 0.5})
    suite.add("clamp", "", torch.clamp, {"x": normal(3, 7)}, {"min": -0.5, "max": 0.75})
    suite.add("clamp", "min only", torch.clamp, {"x": normal(3, 7)}, {"min": 0.1})
    suite.add("clamp", "max only", torch.clamp, {"x": normal(3, 7)}, {"max": 0.1})
    suite.add("clamp", "at bounds", torch.clamp, {"x": values([-1.0, 0.0, 1.0])}, {"min": -1.0, "max": 1.0})
    suite.add("mod", "", torch.remainder, {"a": normal(3, 4, scale=4), "b": uniform(0.5, 2, 3, 4)}, fixed=["b"])
    suite.add(
        "mod",
        "negative divisor",
        torch.remainder,
        {"a": normal(3, 4, scale=4), "b": uniform(-2, -0.5, 3, 4)},
        fixed=["b"],
    )
    numbers = {"x": values([-2.7, -1.0, -0.4, 0.0, 0.4, 1.9])}
    suite.add("castToInt", "", lambda x: x.to(torch.int32), numbers)
    suite.add("castToBool", "", lambda x: x.to(torch.bool), numbers)
    suite.add("where", "", torch.where, {"condition": mask(3, 4), "a": normal(3, 4), "b": normal(3, 4)})
    suite.add("where", "broadcast", torch.where, {"condition": mask(2, 1, 4), "a": normal(3, 1), "b": normal(1)})


def reduction(fn):
    """A torch reduction as a function of (x, axes, keep_dims)."""
    return lambda x, axes=None, keep_dims=False: fn(x, list(range(x.ndim)) if axes is None else axes, keep_dims)


def product(x, axes, keep_dims):
    for axis in sorted((a % x.ndim for a in axes), reverse=True):
        x = x.prod(axis, keepdim=keep_dims)
    return x


REDUCTIONS = {
    "sum": reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
    "mean": reduction(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "prod": reduction(product),
    "max": reduction(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
    "min": reduction(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
    "logsumexp": reduction(lambda x, axes, keep: x.logsumexp(axes, keepdim=keep)),
}


def variance(x, axes=None, keep_dims=False, correction=1):
    return x.var(axes, correction=correction, keepdim=keep_dims)


def std(x, axes=None, keep_dims=False, correction=1):
    return x.std(axes, correction=correction, keepdim=keep_dims)


def norm(x, ord=2, axes=None, keep_dims=False):
    return torch.linalg.vector_norm(x, ord, axes, keep_dims)


def reductions():
    for kind, fn in REDUCTIONS.items():
        suite.add(kind, "all", fn, {"x": normal(3, 4)})
        suite.add(kind, "axis", fn, {"x": normal(2, 3, 4)}, {"axes": [1]})
        suite.add(kind, "axes, kept", fn, {"x": normal(2, 3, 4)}, {"axes": [0, -1], "keepDims": True})
    for kind in ["max", "min"]:
        suite.add(
            kind,
            "ties share",
            REDUCTIONS[kind],
            {"x": values([[2.0, 5.0, 2.0, 5.0], [1.0, 1.0, 1.0, 0.0]])},
            {"axes": [1]},
        )
    suite.add("prod", "one zero", REDUCTIONS["prod"], {"x": values([[2.0, 0.0, 3.0], [1.5, -2.0, 0.5]])}, {"axes": [1]})
    suite.add(
        "prod", "two zeros", REDUCTIONS["prod"], {"x": values([[2.0, 0.0, 0.0], [1.5, -2.0, 0.5]])}, {"axes": [1]}
    )
    suite.add(
        "logsumexp",
        "large",
        REDUCTIONS["logsumexp"],
        {"x": values([[100.0, 101.0, 99.5], [-100.0, -100.5, -98.0], [1000.0, 500.0, 900.0]])},
        {"axes": [1]},
    )
    suite.add("sum", "long", REDUCTIONS["sum"], {"x": normal(2, 1500)}, {"axes": [1]})
    for kind, fn in [("variance", variance), ("std", std)]:
        suite.add(kind, "all", fn, {"x": normal(3, 4)})
        suite.add(kind, "axes, kept", fn, {"x": normal(2, 3, 4)}, {"axes": [0, 2], "keepDims": True})
        suite.add(kind, "no correction", fn, {"x": normal(3, 4)}, {"axes": [1], "correction": 0})
    suite.add(
        "variance", "far from zero", variance, {"x": lambda rng: 100 + rng.standard_normal((2, 16))}, {"axes": [1]}
    )
    suite.add("norm", "all", norm, {"x": normal(3, 4)})
    suite.add("norm", "axis, kept", norm, {"x": normal(3, 4)}, {"axes": [1], "keepDims": True})
    suite.add("norm", "ord 1", norm, {"x": normal(3, 4)}, {"ord": 1, "axes": [1]})
    suite.add("norm", "ord 3", norm, {"x": normal(3, 4)}, {"ord": 3, "axes": [0]})
    suite.add("norm", "zero vector", norm, {"x": values([[0.0, 0.0], [3.0, 4.0]])}, {"axes": [1]})
    suite.add("normalize", "", lambda x, axes: F.normalize(x, 2, axes), {"x": normal(3, 4)}, {"axes": 1})
    suite.add(
        "normalize", "ord 1", lambda x, ord, axes: F.normalize(x, ord, axes), {"x": normal(3, 4)}, {"ord": 1, "axes": 0}
    )
    arg = {"argmax": torch.argmax, "argmin": torch.argmin}
    for kind, fn in arg.items():

        def pick(x, axis, keep_dims=False, fn=fn):
            return fn(x, axis, keep_dims)

        suite.add(kind, "", pick, {"x": normal(3, 5)}, {"axis": 1})
        suite.add(kind, "kept", pick, {"x": normal(3, 5)}, {"axis": 0, "keepDims": True})
        suite.add(kind, "first of ties", pick, {"x": values([[1.0, 3.0, 3.0, 1.0], [0.0, 0.0, 0.0, 0.0]])}, {"axis": 1})
    suite.add("any", "", lambda x, axis: x.any(axis), {"x": mask(4, 3, p=0.3)}, {"axis": 1})
    suite.add("all", "", lambda x, axis: x.all(axis), {"x": mask(4, 3, p=0.7)}, {"axis": 1})
    for kind, fn in [("softmax", torch.softmax), ("logSoftmax", torch.log_softmax)]:

        def soft(x, axis, fn=fn):
            return fn(x, axis)

        suite.add(kind, "", soft, {"x": normal(3, 5)}, {"axis": -1})
        suite.add(kind, "axis 1", soft, {"x": normal(2, 3, 4)}, {"axis": 1})
        suite.add(kind, "large", soft, {"x": normal(3, 5, scale=300)}, {"axis": 1})
    hidden = values([[0.5, -math.inf, 1.0], [-math.inf, -math.inf, 2.0]])
    suite.add("softmax", "hidden", lambda x, axis: torch.softmax(x, axis), {"x": hidden}, {"axis": 1})
    suite.add("logsumexp", "hidden", REDUCTIONS["logsumexp"], {"x": hidden}, {"axes": [1]})
    for kind in ["sum", "prod"]:
        suite.add(kind, "of nothing", REDUCTIONS[kind], {"x": normal(2, 0)}, {"axes": [1]})
    suite.add("cumsum", "", lambda x, axis: x.cumsum(axis), {"x": normal(3, 5)}, {"axis": 1})
    suite.add("cumsum", "first axis", lambda x, axis: x.cumsum(axis), {"x": normal(4, 2, 3)}, {"axis": 0})


def pad(x, pads, value=0.0):
    return F.pad(x, flat_pads(pads), value=value)


def concat(a, b, c, axis):
    return torch.cat([a, b, c], axis)


def strided(x, start, stop, step):
    return x[tuple(slice(*s) for s in zip(start, stop, step, strict=True))]


def movement():
    suite.add("reshape", "", lambda x, shape: x.reshape(shape), {"x": normal(3, 4)}, {"shape": [2, 6]})
    suite.add("reshape", "inferred", lambda x, shape: x.reshape(shape), {"x": normal(2, 3, 4)}, {"shape": [4, -1]})
    suite.add("permute", "", lambda x, axes: x.permute(axes), {"x": normal(2, 3, 4)}, {"axes": [2, 0, 1]})
    suite.add("transpose", "", lambda x, a, b: x.transpose(a, b), {"x": normal(2, 3, 4)}, {"a": -1, "b": 0})
    suite.add("broadcastTo", "", lambda x, shape: x.broadcast_to(shape), {"x": normal(3, 1)}, {"shape": [2, 3, 4]})
    suite.add("slice", "", strided, {"x": normal(4, 5)}, {"start": [1, 0], "stop": [3, 4], "step": [1, 1]})
    suite.add("slice", "steps", strided, {"x": normal(7, 6)}, {"start": [1, 0], "stop": [7, 6], "step": [3, 2]})
    suite.add("pad", "", pad, {"x": normal(2, 3)}, {"pads": [[1, 0], [2, 3]]})
    suite.add("pad", "value", pad, {"x": normal(2, 3)}, {"pads": [[0, 2], [1, 1]], "value": -1.5})
    suite.add("pad", "negative crops", pad, {"x": normal(3, 5)}, {"pads": [[-1, 1], [2, -2]]})
    suite.add("flip", "", lambda x, axes: x.flip(axes), {"x": normal(2, 3, 4)}, {"axes": [0, 2]})
    suite.add(
        "concat",
        "",
        concat,
        {"a": normal(2, 3), "b": normal(2, 1), "c": normal(2, 2)},
        {"axis": 1},
    )
    suite.add(
        "stack",
        "",
        lambda a, b, c, axis: torch.stack([a, b, c], axis),
        {"a": normal(2, 3), "b": normal(2, 3), "c": normal(2, 3)},
        {"axis": 1},
    )
    suite.add(
        "split",
        "equal",
        lambda x, sizes, axis: x.split(sizes, axis),
        {"x": normal(2, 6)},
        {"sizes": [2, 2, 2], "axis": 1},
    )
    suite.add(
        "split",
        "sizes",
        lambda x, sizes, axis: x.split(sizes, axis),
        {"x": normal(5, 2)},
        {"sizes": [1, 3, 1], "axis": 0},
    )
    suite.add("concat", "with nothing", concat, {"a": normal(2, 3), "b": normal(2, 0), "c": normal(2, 2)}, {"axis": 1})
    suite.add("chunk", "", lambda x, count, axis: x.chunk(count, axis), {"x": normal(2, 5)}, {"count": 3, "axis": 1})
    suite.add("squeeze", "", lambda x, axis: x.squeeze(axis), {"x": normal(2, 1, 3)}, {"axis": 1})
    suite.add("unsqueeze", "", lambda x, axis: x.unsqueeze(axis), {"x": normal(2, 3)}, {"axis": -1})
    suite.add(
        "repeatEach",
        "",
        lambda x, count, axis: x.repeat_interleave(count, axis),
        {"x": normal(2, 3)},
        {"count": 2, "axis": 1},
    )
    suite.add("tile", "", lambda x, counts: x.tile(counts), {"x": normal(2, 3)}, {"counts": [2, 1, 3]})
    suite.add("roll", "", lambda x, shift, axis: x.roll(shift, axis), {"x": normal(3, 5)}, {"shift": 2, "axis": 1})
    suite.add("roll", "back", lambda x, shift, axis: x.roll(shift, axis), {"x": normal(4, 3)}, {"shift": -1, "axis": 0})
    suite.add("tril", "", torch.tril, {"x": normal(4, 4)})
    suite.add("triu", "", torch.triu, {"x": normal(4, 4)})
    suite.add("tril", "diagonal 1", torch.tril, {"x": normal(2, 3, 5)}, {"diagonal": 1})
    suite.add("triu", "diagonal -1", torch.triu, {"x": normal(2, 4, 3)}, {"diagonal": -1})


def contraction():
    pairs = {
        "1x1": ((5,), (5,)),
        "1x2": ((4,), (4, 3)),
        "2x1": ((3, 4), (4,)),
        "2x2": ((3, 4), (4, 5)),
        "1x3": ((4,), (2, 4, 3)),
        "3x1": ((2, 3, 4), (4,)),
        "3x2": ((2, 3, 4), (4, 5)),
        "2x3": ((3, 4), (2, 4, 5)),
        "3x3": ((2, 3, 4), (2, 4, 3)),
        "3x3 broadcast": ((1, 3, 4), (2, 4, 3)),
        "4x4": ((2, 2, 3, 4), (2, 2, 4, 2)),
        "4x4 broadcast": ((2, 1, 3, 4), (1, 3, 4, 2)),
        "4x3 broadcast": ((2, 3, 2, 3), (3, 3, 2)),
        "one row": ((1, 7), (7, 33)),
        "one column": ((33, 7), (7, 1)),
        "depth one": ((5, 1), (1, 6)),
        "depth zero": ((3, 0), (0, 2)),
        "past the tile": ((15, 33), (33, 37)),
    }
    for label, (a, b) in pairs.items():
        suite.add("matmul", label, torch.matmul, {"a": normal(*a), "b": normal(*b)})
    suite.add(
        "matmul",
        "transposed views",
        lambda a, b, transposed: a.T @ b.T,
        {"a": normal(6, 5), "b": normal(7, 6)},
        {"transposed": True},
    )


def gather(x, index, axis):
    return x.gather(axis, index)


def scatter_add(x, index, source, axis):
    return x.scatter_add(axis, index, source)


def index_select(x, index, axis):
    return x.index_select(axis, index)


def sort(x, axis, descending=False):
    return torch.sort(x, dim=axis, descending=descending, stable=True)


def topk(x, k, axis=-1, largest=True):
    return torch.topk(x, k, axis, largest)


def indexing():
    suite.add("gather", "", gather, {"x": normal(3, 4), "index": integers(0, 4, 3, 2)}, {"axis": 1})
    suite.add("gather", "first axis", gather, {"x": normal(3, 4), "index": integers(0, 3, 5, 4)}, {"axis": 0})
    suite.add("gather", "3-D", gather, {"x": normal(2, 3, 4), "index": integers(0, 3, 2, 5, 4)}, {"axis": 1})
    suite.add(
        "scatterAdd",
        "",
        scatter_add,
        {"x": normal(3, 4), "index": integers(0, 4, 3, 4), "source": normal(3, 4)},
        {"axis": 1},
    )
    suite.add(
        "scatterAdd",
        "collisions",
        scatter_add,
        {"x": normal(2, 3), "index": values([[0, 0, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1]]), "source": normal(4, 3)},
        {"axis": 0},
    )
    suite.add("indexSelect", "", index_select, {"x": normal(4, 3), "index": values([2, 0, 2])}, {"axis": 0})
    suite.add("indexSelect", "last axis", index_select, {"x": normal(2, 5), "index": values([4, 1, 1, 0])}, {"axis": 1})
    suite.add(
        "embedding",
        "",
        lambda index, weight: F.embedding(index, weight),
        {"index": integers(0, 5, 2, 4), "weight": normal(5, 3)},
    )
    suite.add(
        "oneHot", "", lambda index, classes: F.one_hot(index, classes), {"index": integers(0, 5, 2, 3)}, {"classes": 5}
    )
    suite.add("sort", "", sort, {"x": normal(3, 6)}, {"axis": 1})
    suite.add("sort", "descending", sort, {"x": normal(5, 3)}, {"axis": 0, "descending": True})
    suite.add("sort", "stable ties", sort, {"x": values([[2.0, 1.0, 2.0, 1.0, 3.0]])}, {"axis": 1})
    suite.add("argsort", "", lambda x, axis: torch.argsort(x, dim=axis, stable=True), {"x": normal(3, 6)}, {"axis": 1})
    suite.add("topk", "", topk, {"x": normal(3, 7)}, {"k": 3})
    suite.add("topk", "smallest", topk, {"x": normal(6, 2)}, {"k": 2, "axis": 0, "largest": False})


if __name__ == "__main__":
    elementwise()
    reductions()
    movement()
    contraction()
    indexing()
    suite.write()
