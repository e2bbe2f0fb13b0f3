"""Golden Shapley values of the shap package, and of XGBoost and LightGBM for their own trees: shap.json."""

import itertools
import json

import lightgbm
import numpy as np
import shap
import torch
import xgboost
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor

from golden import FIXTURES

RNG = np.random.default_rng(7)


def half(*shape):
    """Normal numbers that f32 and a few decimal digits hold exactly."""
    return np.round(RNG.standard_normal(shape) * 64) / 64


def numbers(array):
    return np.asarray(array, dtype=np.float64).tolist()


def per_output(values):
    """[n, features] or [n, features, outputs] as a list over outputs."""
    values = np.asarray(values)
    return [numbers(values)] if values.ndim == 2 else [numbers(values[..., k]) for k in range(values.shape[-1])]


def black_box():
    """tanh network of six features and two outputs."""
    w1, b1, w2 = half(6, 5), half(5), half(5, 2)
    x, background = half(3, 6), half(4, 6)

    def f(rows):
        return np.tanh(rows @ w1 + b1) @ w2

    masker = shap.maskers.Independent(background)
    exact = shap.explainers.Exact(f, masker)(x).values
    kernel = shap.KernelExplainer(f, background).shap_values(x, nsamples=2**6, l1_reg=False, silent=True)
    sparse = shap.KernelExplainer(f, background).shap_values(x, nsamples=2**6, l1_reg="num_features(3)", silent=True)
    # Interactions of pairs at most, for which antithetic permutations are exact.
    pairs = half(6, 6)

    def g(rows):
        return np.einsum("ni,ij,nj->n", rows, pairs, rows)

    permutation = shap.explainers.Permutation(g, masker)(x, max_evals=130).values
    return {
        "w1": numbers(w1),
        "b1": numbers(b1),
        "w2": numbers(w2),
        "pairs": numbers(pairs),
        "x": numbers(x),
        "background": numbers(background),
        "exact": per_output(exact),
        "kernel": per_output(kernel),
        "sparse": per_output(sparse),
        "permutation": per_output(permutation),
    }


def linear():
    """Both kinds; the correlated one over all orders instead of the package's random ones."""
    features = 4
    coef, intercept = half(features), 0.75
    mix = half(features, features)
    background, x = np.round(half(40, features) @ mix * 64) / 64, half(3, features)
    independent = shap.LinearExplainer((coef, intercept), shap.maskers.Independent(background)).shap_values(x)
    orders = itertools.cycle(itertools.permutations(range(features)))
    shuffle = np.random.shuffle

    def next_order(indices):
        indices[:] = next(orders)

    np.random.shuffle = next_order
    correlated = shap.LinearExplainer(
        (coef, intercept), shap.maskers.Impute(background), nsamples=24
    ).shap_values(x)
    np.random.shuffle = shuffle
    return {
        "weight": [numbers(coef)],
        "bias": [intercept],
        "x": numbers(x),
        "background": numbers(background),
        "independent": per_output(independent),
        "correlated": per_output(correlated),
    }


def tree_arrays(tree, value):
    return {
        "left": tree.children_left.tolist(),
        "right": tree.children_right.tolist(),
        "feature": tree.feature.tolist(),
        "threshold": numbers(tree.threshold),
        "value": numbers(value),
        "cover": numbers(tree.weighted_n_node_samples),
    }


def sklearn_trees():
    x = half(120, 5)
    y = x[:, 0] * x[:, 1] + np.sin(x[:, 2]) + 0.1 * RNG.standard_normal(120)
    classes = (x[:, 0] + x[:, 3] > 0).astype(int) + (x[:, 1] > 0.5)
    regression = RandomForestRegressor(6, max_depth=4, random_state=0).fit(x, y)
    forest = RandomForestClassifier(5, max_depth=3, random_state=0).fit(x, classes)
    boosting = GradientBoostingClassifier(n_estimators=8, max_depth=3, random_state=0).fit(x, classes == 1)
    prior = float(boosting._raw_predict_init(x[:1].astype(np.float32))[0, 0])
    models = {
        "forestRegression": (
            regression,
            {
                "trees": [tree_arrays(e.tree_, e.tree_.value[:, :, 0]) for e in regression.estimators_],
                "outputs": 1,
                "scale": 1 / 6,
            },
            regression.predict,
        ),
        "forestClassifier": (
            forest,
            {
                "trees": [tree_arrays(e.tree_, e.tree_.value[:, 0, :]) for e in forest.estimators_],
                "outputs": 3,
                "scale": 1 / 5,
            },
            forest.predict_proba,
        ),
        "boosting": (
            boosting,
            {
                "trees": [tree_arrays(e.tree_, e.tree_.value[:, :, 0]) for e in boosting.estimators_[:, 0]],
                "outputs": 1,
                "scale": boosting.learning_rate,
                "offset": [prior],
            },
            boosting.decision_function,
        ),
    }
    rows, background = x[:4], x[20:32]
    cases = {}
    for name, (model, arrays, predict) in models.items():
        by_path = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
        by_background = shap.TreeExplainer(model, background, feature_perturbation="interventional")
        cases[name] = {
            "ensemble": {**arrays, "features": 5, "roundsToFloat32": True},
            "outputs": numbers(np.reshape(predict(rows), (len(rows), -1))),
            "pathDependent": per_output(by_path.shap_values(rows)),
            "interventional": per_output(by_background.shap_values(rows)),
            "expected": numbers(np.atleast_1d(by_path.expected_value)),
        }
    return {"rows": numbers(rows), "background": numbers(background), "models": cases}


def boosted_libraries():
    x = half(150, 4)
    x[::7, 1] = np.nan
    classes = (np.nan_to_num(x[:, 1]) + x[:, 2] > 0).astype(int) + (x[:, 0] > 0.7)
    rows = np.vstack([x[:3], x[7:8]])
    names = ["age", "size", "price", "rooms"]
    data = xgboost.DMatrix(x, classes, feature_names=names)
    booster = xgboost.train(
        {"objective": "multi:softprob", "num_class": 3, "max_depth": 3, "base_score": 0.5, "seed": 0}, data, 4
    )
    query = xgboost.DMatrix(rows, feature_names=names)
    xgb = booster.predict(query, pred_contribs=True)  # [n, classes, features + 1]
    light = lightgbm.train(
        {"objective": "binary", "num_leaves": 6, "min_data_in_leaf": 5, "verbose": -1, "seed": 0, "num_threads": 1},
        lightgbm.Dataset(x, classes == 1, feature_name=names),
        5,
    )
    contributions = light.predict(rows, pred_contrib=True)
    keep = {"num_tree_per_iteration", "max_feature_idx", "feature_names", "average_output", "tree_info"}
    dump = {k: v for k, v in light.dump_model().items() if k in keep}
    dump["tree_info"] = [{"tree_structure": t["tree_structure"]} for t in dump["tree_info"]]
    nan_as_null = [[None if np.isnan(v) else float(v) for v in row] for row in rows]
    return {
        "names": names,
        "rows": nan_as_null,
        "xgboost": {
            "dump": [json.loads(t) for t in booster.get_dump(dump_format="json", with_stats=True)],
            "baseScore": 0.5,
            "outputs": numbers(booster.predict(query, output_margin=True)),
            "values": [numbers(xgb[:, k, :-1]) for k in range(3)],
        },
        "lightgbm": {
            "dump": dump,
            "outputs": numbers(light.predict(rows, raw_score=True)),
            "values": [numbers(contributions[:, :-1])],
        },
    }


def networks():
    """A perceptron and a convolutional network with max-pooling; weights rounded so that JSON is short."""
    nn = torch.nn
    torch.manual_seed(3)
    perceptron = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2), nn.Sigmoid())
    conv = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 2),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    cases = {}
    for name, model, shape in [("perceptron", perceptron, (5,)), ("convolutional", conv, (2, 6, 6))]:
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(torch.round(p * 512) / 256)
        x, background = torch.tensor(half(2, *shape)), torch.tensor(half(3, *shape))
        deep = shap.DeepExplainer(model, background).shap_values(x, check_additivity=True)
        gradients = shap.GradientExplainer(model, background, batch_size=100).shap_values(x, nsamples=20_000, rseed=0)
        flat = lambda values: [numbers(np.reshape(values[..., k], (2, -1))) for k in range(values.shape[-1])]
        cases[name] = {
            "state": {key: {"shape": list(p.shape), "data": numbers(p.flatten())} for key, p in model.state_dict().items()},
            "x": {"shape": list(x.shape), "data": numbers(x.flatten())},
            "background": {"shape": list(background.shape), "data": numbers(background.flatten())},
            "outputs": numbers(model(x).detach()),
            "deep": flat(deep),
            "gradient": np.round(flat(gradients), 5).tolist(),
        }
    return cases


def main():
    cases = {
        "blackBox": black_box(),
        "linear": linear(),
        "sklearn": sklearn_trees(),
        "boosted": boosted_libraries(),
        "networks": networks(),
    }
    (FIXTURES / "shap.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
