"""Norms of the gradient by every parameter: image models in both modes, with weights and images as in resnet.py.

models/norms.safetensors: <model>/<mode>, the norms in the order of the parameters, of the mean cross-entropy of a batch whose
sizes are in models/norms.json. There, too, the largest relative error of PyTorch's own norms in float32, and, where float32
does not suffice for 1e-3, by how much the norms change in float64 when every weight changes by about 1e-7 of itself, as
rounding to float32 does: small differences are amplified, or put a ReLU6 on the other side of its kink.
"""

import json

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

import models
import resnet
from resnet import generate, images

FOLDER = models.FOLDER
MODELS = resnet.MODELS | models.MODELS
# model, batch, image size
CASES = [
    *[("cifar_resnet20", 16, 32), ("resnet50", 16, 64)],
    *[("wrn_small", 16, 32), ("wrn_16_4", 16, 32)],
    *[("vgg_small", 16, 64), ("vgg11", 4, 64)],
    *[("mobilenet_small", 16, 64), ("mobilenet_v2", 16, 64)],
    *[("efficientnet_small", 16, 64), ("efficientnet_b0", 16, 64)],
    *[("vit_small", 16, 32), ("vit_b_32", 2, 224)],
]


# Without batch normalization and dropout there is no difference between the modes.
ONE_MODE = ["vgg11", "vit_small", "vit_b_32"]
AMPLIFYING = [
    *["resnet50/train", "mobilenet_small/train", "mobilenet_small/eval"],
    *["mobilenet_v2/train", "efficientnet_b0/eval"],
]


def made(name, mode):
    return generate(MODELS[name](), models.GAINS.get(name, 1)).train(mode == "train")


def norms(model, x):
    logits = model(x)
    F.cross_entropy(logits, torch.arange(len(x)) * 7 % logits.shape[1]).backward()
    return np.array([p.grad.double().norm().item() for p in model.parameters()])


def difference(got, exact):
    """The largest relative error; a bias before a normalization has no gradient but rounding."""
    real = exact > 1e-9 * exact.max()
    return float(f"{np.max(np.abs(got - exact)[real] / exact[real]):.2g}")


def amplification(name, mode, x, exact):
    found = []
    for seed in range(4):
        model, generator = made(name, mode), torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1 + 1e-7 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
        found.append(difference(norms(model, x), exact))
    return max(found)


def main():
    torch.set_num_threads(2)
    values, facts = {}, {}
    for name, batch, size in CASES:
        x = images(batch, size)
        for mode in ["eval"] if name in ONE_MODE else ["eval", "train"]:
            key = f"{name}/{mode}"
            exact = values[key] = norms(made(name, mode), x)
            single = norms(made(name, mode).float(), x.float())
            facts[key] = {"batch": batch, "size": size, "float32": difference(single, exact)}
            if key in AMPLIFYING:
                facts[key]["rounding"] = amplification(name, mode, x, exact)
            print(f"{key}: {len(exact)} norms from {exact.min():.3g} to {exact.max():.3g}, {facts[key]}")
    (FOLDER / "norms.json").write_text(json.dumps(facts, indent=1) + "\n")
    path = FOLDER / "norms.safetensors"
    save_file(values, path)
    path.chmod(0o644)


if __name__ == "__main__":
    main()
