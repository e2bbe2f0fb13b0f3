"""Golden superpixels: scikit-image's labels of small pieces of its photos, in superpixels.safetensors and .json."""

import json

import numpy as np
from safetensors.numpy import save_file
from skimage import data, segmentation
from skimage.color import gray2rgb

from golden import FIXTURES

IMAGES = {
    "cat": data.chelsea()[60:252:4, 110:334:4],
    "coffee": data.coffee()[16:400:8, 100:548:8],
    "camera": data.camera()[96:288:4, 140:364:4],
}
CASES = [
    ("slic", {"segments": 30}),
    ("slic", {"segments": 80, "compactness": 25, "sigma": 1}),
    ("slic", {"segments": 12, "compactness": 3, "minSize": 0.3, "maxSize": 1.5}),
    ("quickshift", {"kernelSize": 4, "maxDistance": 200, "ratio": 0.2}),
    ("quickshift", {"kernelSize": 2, "maxDistance": 6, "ratio": 0.5, "sigma": 0.7}),
    ("felzenszwalb", {"scale": 100}),
    ("felzenszwalb", {"scale": 20, "sigma": 0.5, "minSize": 8}),
]
NAMES = {
    "segments": "n_segments",
    "kernelSize": "kernel_size",
    "maxDistance": "max_dist",
    "minSize": "min_size",
    "maxSize": "max_size_factor",
}


def segment(method, image, **options):
    options = {NAMES.get(k, k): v for k, v in options.items()}
    if method == "felzenszwalb":
        return segmentation.felzenszwalb(image, channel_axis=-1 if image.ndim == 3 else None, **options)
    if "min_size" in options:
        options["min_size_factor"] = options.pop("min_size")
    return getattr(segmentation, method)(gray2rgb(image) if image.ndim == 2 else image, **options)


tensors, cases = {}, []
for image, pixels in IMAGES.items():
    tensors[image] = np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], -1))
    for method, options in CASES:
        name = f"{image}/{method}/{len(cases)}"
        labels = segment(method, pixels, **options)
        assert labels.max() < 256
        tensors[name] = labels.astype(np.uint8)
        cases.append({"name": name, "image": image, "method": method, "options": options})
save_file(tensors, FIXTURES / "superpixels.safetensors")
(FIXTURES / "superpixels.json").write_text(json.dumps(cases, indent=1) + "\n")
