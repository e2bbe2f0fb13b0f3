"""Golden cases of losses."""

import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from golden import Suite, integers, normal, uniform, values

suite = Suite("losses")
REDUCTIONS = ["mean", "sum", "none"]


def add(kind, label, fn, inputs, attrs=None, fixed=()):
    """One case per reduction."""
    for reduction in REDUCTIONS:
        name = f"{label} {reduction}".strip()
        suite.add(kind, name, fn, inputs, (attrs or {}) | {"reduction": reduction}, fixed)


def cross_entropy(logits, target, weight=None, **kw):
    return F.cross_entropy(logits, target, weight, **kw)


def nll(logits, target, weight=None, **kw):
    return F.nll_loss(F.log_softmax(logits, 1), target, weight, **kw)


def simplex(*shape):
    """Rows that sum to one up to float32 rounding."""
    return lambda rng: rng.dirichlet([1.0] * shape[-1], shape[:-1])


def classification():
    logits, target = {"logits": normal(5, 4, scale=2)}, {"target": integers(0, 4, 5)}
    weight = {"weight": uniform(0.2, 2, 4)}
    ignored = {"target": values([0, 3, 1, -100, 2])}
    add("crossEntropy", "", cross_entropy, logits | target)
    add("crossEntropy", "smoothed", cross_entropy, logits | target, {"labelSmoothing": 0.1})
    add("crossEntropy", "weighted", cross_entropy, logits | target | weight, fixed=["weight"])
    add("crossEntropy", "ignored", cross_entropy, logits | ignored)
    everything = {"labelSmoothing": 0.2, "ignoreIndex": 2}
    add(
        "crossEntropy",
        "smoothed, weighted, ignored",
        cross_entropy,
        logits | {"target": values([0, 2, 1, 3, 2])} | weight,
        everything,
        ["weight"],
    )
    soft = {"target": simplex(5, 4)}
    add("crossEntropy", "soft", cross_entropy, logits | soft, fixed=["target"])
    add(
        "crossEntropy",
        "soft, smoothed, weighted",
        cross_entropy,
        logits | soft | weight,
        {"labelSmoothing": 0.1},
        ["target", "weight"],
    )
    dense = {"logits": normal(2, 3, 2, 3), "target": integers(0, 3, 2, 2, 3)}
    add("crossEntropy", "dense", cross_entropy, dense | {"weight": uniform(0.2, 2, 3)}, fixed=["weight"])
    add(
        "crossEntropy",
        "large logits",
        cross_entropy,
        {"logits": normal(4, 3, scale=400)} | {"target": integers(0, 3, 4)},
    )
    add("nllLoss", "", nll, logits | target)
    add(
        "nllLoss",
        "weighted, ignored",
        nll,
        logits | {"target": values([0, 2, 1, 3, 2])} | weight,
        {"ignoreIndex": 2},
        ["weight"],
    )

    flat = {"target": uniform(0, 1, 3, 4)}
    add("bce", "", F.binary_cross_entropy, {"input": uniform(0.05, 0.95, 3, 4)} | flat, fixed=["target"])
    add(
        "bceWithLogits",
        "",
        F.binary_cross_entropy_with_logits,
        {"logits": normal(3, 4, scale=3)} | flat,
        fixed=["target"],
    )
    add(
        "bceWithLogits",
        "positive weight",
        lambda logits, target, pos_weight, **kw: F.binary_cross_entropy_with_logits(
            logits, target, pos_weight=pos_weight, **kw
        ),
        {"logits": normal(3, 4)} | flat | {"posWeight": uniform(0.5, 3, 4)},
        fixed=["target", "posWeight"],
    )
    suite.add(
        "bceWithLogits",
        "large logits",
        F.binary_cross_entropy_with_logits,
        {"logits": values([-800.0, -30.0, 30.0, 800.0]), "target": values([1.0, 0.0, 1.0, 0.0])},
        {"reduction": "none"},
        ["target"],
    )
    hits = {"target": lambda rng: rng.integers(0, 2, (3, 4)).astype(float)}
    add(
        "focalLoss",
        "",
        sigmoid_focal_loss,
        {"logits": normal(3, 4, scale=2)} | hits,
        {"alpha": 0.25, "gamma": 2.0},
        ["target"],
    )
    add(
        "focalLoss",
        "unbalanced",
        sigmoid_focal_loss,
        {"logits": normal(3, 4)} | hits,
        {"alpha": -1.0, "gamma": 1.5},
        ["target"],
    )


def regression():
    pair = {"input": normal(3, 4), "target": normal(3, 4)}
    add("mse", "", F.mse_loss, pair)
    add("l1", "", F.l1_loss, pair)
    add("smoothL1", "", F.smooth_l1_loss, pair)
    add("smoothL1", "beta 0.3", F.smooth_l1_loss, pair, {"beta": 0.3})
    add("huber", "", F.huber_loss, pair)
    add("huber", "delta 0.4", F.huber_loss, pair, {"delta": 0.4})


def multi_margin(logits, target, weight, reduction):
    return F.multi_margin_loss(logits, target, weight=weight, reduction=reduction)


def comparison():
    log_q = {"logInput": lambda rng: -rng.uniform(0.2, 3, (3, 4))}
    for reduction in [*REDUCTIONS, "batchmean"]:
        attrs = {"reduction": reduction}
        suite.add("klDiv", reduction, F.kl_div, log_q | {"target": simplex(3, 4)}, attrs)
        target = {"target": lambda rng: -rng.uniform(0.2, 3, (3, 4))}
        suite.add("klDiv", f"log target {reduction}", F.kl_div, log_q | target, attrs | {"logTarget": True})
    vectors = {"a": normal(4, 3), "b": normal(4, 3)}
    signs = {"target": values([1.0, -1.0, 1.0, -1.0])}
    add("cosineEmbedding", "", F.cosine_embedding_loss, vectors | signs, fixed=["target"])
    add("cosineEmbedding", "margin", F.cosine_embedding_loss, vectors | signs, {"margin": -0.9}, ["target"])
    suite.add("cosineSimilarity", "", lambda a, b, axis: F.cosine_similarity(a, b, axis), vectors, {"axis": 1})
    suite.add(
        "cosineSimilarity",
        "broadcast",
        lambda a, b, axis: F.cosine_similarity(a, b, axis),
        {"a": normal(2, 3, 4), "b": normal(1, 3, 1)},
        {"axis": 1},
    )
    add(
        "hingeEmbedding",
        "",
        F.hinge_embedding_loss,
        {"input": normal(4, 3), "target": lambda rng: rng.choice([-1.0, 1.0], (4, 3))},
        fixed=["target"],
    )
    add(
        "hingeEmbedding",
        "margin",
        F.hinge_embedding_loss,
        {"input": normal(4, 3), "target": lambda rng: rng.choice([-1.0, 1.0], (4, 3))},
        {"margin": 0.4},
        ["target"],
    )
    logits = {"logits": normal(4, 3), "target": integers(0, 3, 4)}
    add("multiMargin", "", F.multi_margin_loss, logits)
    add("multiMargin", "squared", F.multi_margin_loss, logits, {"p": 2, "margin": 0.5})
    weighted = logits | {"weight": uniform(0.2, 2, 3)}
    add("multiMargin", "weighted", multi_margin, weighted, fixed=["weight"])
    triplet = {"anchor": normal(4, 3), "positive": normal(4, 3), "negative": normal(4, 3)}
    add("tripletMargin", "", F.triplet_margin_loss, triplet)
    add("tripletMargin", "p 1, swap", F.triplet_margin_loss, triplet, {"p": 1, "swap": True, "margin": 0.5})


if __name__ == "__main__":
    classification()
    regression()
    comparison()
    suite.write()
