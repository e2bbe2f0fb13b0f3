"""Golden values of the lime package, in lime.json and lime.safetensors.

Its explainers are run on small models; what they drew (data, distances, scores) is stored beside the weights that they
fitted, so that a surrogate can be fitted to the same samples. The table is iris with a column of categories and one of
equal numbers; of it the statistics of the discretizers are stored.
"""

import json

import numpy as np
from lime.lime_base import LimeBase
from lime.lime_image import LimeImageExplainer
from lime.lime_tabular import LimeTabularExplainer
from lime.lime_text import LimeTextExplainer
from safetensors.numpy import save_file
from sklearn.datasets import load_iris

from golden import FIXTURES

SELECTIONS = {
    "none": "none",
    "forward": "forward_selection",
    "highestWeights": "highest_weights",
    "lassoPath": "lasso_path",
    "auto": "auto",
}
COUNTS = [1, 3, 5, 8]
TEXT = "not a good film, not at all: the plot is dull and the actors are lost, but the music is good"
tensors, fits = {}, []


class Recorder(LimeBase):
    """Keeps what an explainer drew."""

    def explain_instance_with_data(self, data, labels, distances, label, *args, **kwargs):
        self.seen = data, labels[:, label], distances
        return super().explain_instance_with_data(data, labels, distances, label, *args, **kwargs)


def record(name, explainer, width, call):
    explainer.base = Recorder(explainer.base.kernel_fn, random_state=0)
    call(explainer)
    data, scores, distances = explainer.base.seen
    binary = np.isin(data, [0, 1]).all()
    tensors[f"{name}/data"] = np.ascontiguousarray(data, dtype=np.uint8 if binary else np.float64)
    tensors[f"{name}/scores"] = np.array(scores, dtype=np.float64)
    tensors[f"{name}/distances"] = np.array(distances, dtype=np.float64)
    for selection, method in SELECTIONS.items():
        for count in COUNTS[-1:] if selection == "none" else COUNTS:
            base = LimeBase(explainer.base.kernel_fn, random_state=0)
            intercept, weights, r2, local = base.explain_instance_with_data(
                data, scores[:, None], distances, 0, count, feature_selection=method
            )
            fits.append(
                {
                    "name": name,
                    "width": width,
                    "selection": selection,
                    "features": count,
                    "weights": {int(f): float(w) for f, w in weights},
                    "intercept": float(intercept),
                    "fidelity": float(r2),
                    "localPrediction": float(local[0]),
                }
            )


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def both(p):
    return np.stack([1 - p, p], 1)


def flower(x):
    return both(sigmoid(1.4 * x[:, 3] * (x[:, 4] != 1) - 0.3 * x[:, 2] + 0.2 * x[:, 0] * (x[:, 1] > 3) - 1))


def opinion(texts):
    good = np.array([t.count("good") - 2.0 * t.count("dull") - t.count("not") * t.count("good") for t in texts])
    return both(sigmoid(good + 0.1 * np.array([t.count("a") for t in texts])))


def scene(images):
    means = images.reshape(len(images), 4, 6, 6, 6, 3).mean((3, 5))[..., 1]
    return both(sigmoid(9 * means[:, 1, 2] - 4 * means[:, 2, 3] + 6 * means[:, 0, 0] * means[:, 3, 5] - 2))


def plain(value):
    return value if isinstance(value, str) else float(value)


iris = load_iris().data
kinds = (np.arange(150) * 7 % 11 % 3).astype(float)
table = np.column_stack([iris, kinds, np.full(150, 2.5)])
names = ["sepal length", "sepal width", "petal length", "petal width", "colour", "constant"]
tensors["table"] = table
tables = {}
for discretizer in ["quartile", "decile", None]:
    explainer = LimeTabularExplainer(
        table,
        feature_names=names,
        categorical_features=[4],
        discretize_continuous=discretizer is not None,
        discretizer=discretizer or "quartile",
        random_state=1,
    )
    name = f"table/{discretizer}"
    width = explainer.base.kernel_fn.keywords["kernel_width"]
    record(name, explainer, width, lambda e: e.explain_instance(table[77], flower, num_samples=300))
    tables[str(discretizer)] = {
        "values": {c: [float(v) for v in vs] for c, vs in explainer.feature_values.items()},
        "frequencies": {c: list(map(float, fs)) for c, fs in explainer.feature_frequencies.items()},
        "means": list(map(float, explainer.scaler.mean_)),
        "scales": list(map(float, explainer.scaler.scale_)),
        "bins": explainer.discretizer and {
            key: {c: list(map(plain, vs)) for c, vs in getattr(explainer.discretizer, key).items()}
            for key in ["names", "means", "stds", "mins", "maxs"]
        },
    }

for name, bow in [("text", True), ("positions", False)]:
    explainer = LimeTextExplainer(random_state=2, bow=bow)
    record(name, explainer, 25, lambda e: e.explain_instance(TEXT, opinion, num_samples=300))
image = np.random.default_rng(4).random((24, 36, 3))
blocks = np.arange(24)[:, None] // 6 * 6 + np.arange(36)[None] // 6
options = {"hide_color": 0, "num_samples": 300, "top_labels": None, "segmentation_fn": lambda _: blocks}
record("image", LimeImageExplainer(random_state=5), 0.25, lambda e: e.explain_instance(image, scene, **options))

save_file(tensors, FIXTURES / "lime.safetensors")
(FIXTURES / "lime.safetensors").chmod(0o644)
(FIXTURES / "lime.json").write_text(json.dumps({"fits": fits, "tables": tables, "text": TEXT, "names": names}) + "\n")
