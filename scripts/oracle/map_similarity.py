"""Rank correlation of SciPy and structural similarity of scikit-image on small maps."""

import json
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

rng = np.random.default_rng(5)
height, width = 24, 19
base = rng.normal(size=(height, width))


def stretched(a):
    return (a - a.min()) / (a.max() - a.min())


others = {
    "noise": rng.normal(size=(height, width)),
    "near": base + 0.3 * rng.normal(size=(height, width)),
    "opposite": -base,
    "ties": np.round(base),
}
to_list = lambda a: [round(float(v), 6) for v in a.ravel()]
base = np.array(to_list(base)).reshape(height, width)
cases = []
for name, other in others.items():
    other = np.array(to_list(other)).reshape(height, width)
    ssim, full = structural_similarity(
        stretched(base), stretched(other), data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    cases.append(
        {"name": name, "map": to_list(other), "spearman": float(spearmanr(base.ravel(), other.ravel())[0]), "ssim": float(ssim)}
    )
out = Path(__file__).parents[2] / "test/fixtures/golden/map-similarity.json"
out.write_text(json.dumps({"width": width, "height": height, "base": to_list(base), "cases": cases}) + "\n")
