"""Explanations of captum, and class activation maps by their formulas, for networks with the weights and images that
resnet.py generates (see there; small images). Everything in float64.

explain.safetensors, per network <net>, of its image n and class TARGETS[n]; of arrays as large as the images
every 29th value, from the first, and rounded to float32:
    <net>/saliency, inputXGradient, guided
    <net>/integrated               IntegratedGradients, 50 steps of Gauss-Legendre, baseline 0
    <net>/midpoint                 the same with 20 steps of riemann_middle
    <net>/gradCam/<layer>          LayerGradCam with ReLU, at the size of the layer
    <net>/gradCamSigned/<layer>    the same without ReLU
    <net>/upsampled/<layer>        the first as large as the images (LayerAttribution.interpolate, bilinear)
    <net>/gradCamPlusPlus/<layer>  equations 10 and 19 of Chattopadhyay et al. 2018 by loops over places
    <net>/guidedGradCam/<layer>    GuidedGradCam, interpolate_mode bilinear
    <net>/occlusion                Occlusion, windows of 12 x 9 and strides of 7 x 5 over all channels, one channel of it
    <net>/scores                   scores of the targets, and at a baseline of 0
"""

import numpy as np
import torch
import torchvision
from captum.attr import (
    GuidedBackprop,
    GuidedGradCam,
    InputXGradient,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    Occlusion,
    Saliency,
)
from safetensors.numpy import save_file

from golden import FIXTURES
from models import small_vgg, small_vit
from resnet import generate, images

TARGETS = [5, 6]
EVERY = 29


def resnet():
    model = torchvision.models.resnet.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=10)
    return generate(model)


NETWORKS = {
    "resnet": (resnet, 48, ["layer4", "layer3.0.conv1", "layer2"]),
    "vgg": (lambda: generate(small_vgg(), 1.3), 64, ["features.18", "features"]),
    "vit": (lambda: generate(small_vit()), 32, ["encoder.layers.encoder_layer_1.ln_1", "encoder.layers.encoder_layer_0"]),
}


def to_grid(tokens):
    """Tokens without the class token as a map, [n, c, 4, 4]."""
    n, t, c = tokens.shape
    side = int((t - 1) ** 0.5)
    return tokens[:, 1:].transpose(1, 2).reshape(n, c, side, side)


def activation_and_gradient(model, layer, x):
    kept = {}
    hook = layer.register_forward_hook(lambda _, given, out: kept.update(out=out))
    scores = model(x)
    hook.remove()
    (gradient,) = torch.autograd.grad(scores[torch.arange(len(x)), TARGETS].sum(), kept["out"])
    pair = kept["out"].detach(), gradient
    return tuple(to_grid(t) if t.dim() == 3 else t for t in pair)


def grad_cam(a, g, relu=True):
    cam = (g.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True)
    return cam.relu() if relu else cam


def plus_plus(a, g):
    """Place by place, as the paper writes it."""
    a, g = a.numpy(), g.numpy()
    n, channels, height, width = a.shape
    maps = np.zeros((n, 1, height, width))
    for i in range(n):
        for k in range(channels):
            weight, total = 0.0, a[i, k].sum()
            for y in range(height):
                for x in range(width):
                    slope = g[i, k, y, x]
                    below = 2 * slope**2 + total * slope**3
                    if slope > 0 and below != 0:
                        weight += slope**2 / below * slope
            maps[i, 0] += weight * a[i, k]
    return np.maximum(maps, 0)


def explanations(model, size, layers):
    model.eval()
    x = images(2, size).requires_grad_()
    convolutional = not hasattr(model, "encoder")
    with torch.no_grad():
        pick = lambda scores: scores[torch.arange(2), TARGETS].numpy()
        found = {"scores": np.stack([pick(model(x)), pick(model(torch.zeros_like(x)))])}
    found["saliency"] = Saliency(model).attribute(x, target=TARGETS)
    found["inputXGradient"] = InputXGradient(model).attribute(x, target=TARGETS)
    path = IntegratedGradients(model)
    found["integrated"] = path.attribute(x, target=TARGETS, n_steps=50)
    found["midpoint"] = path.attribute(x, target=TARGETS, n_steps=20, method="riemann_middle")
    windows = {"sliding_window_shapes": (3, 12, 9), "strides": (3, 7, 5), "perturbations_per_eval": 8}
    found["occlusion"] = Occlusion(model).attribute(x, target=TARGETS, **windows)[:, :1]
    if convolutional:
        found["guided"] = GuidedBackprop(model).attribute(x, target=TARGETS)
    for key in layers:
        layer = model.get_submodule(key)
        a, g = activation_and_gradient(model, layer, x)
        found[f"gradCam/{key}"] = grad_cam(a, g)
        found[f"gradCamSigned/{key}"] = grad_cam(a, g, relu=False)
        if convolutional:
            theirs = LayerGradCam(model, layer).attribute(x, target=TARGETS, relu_attributions=True)
            assert torch.allclose(theirs, found[f"gradCam/{key}"], rtol=1e-9, atol=1e-12)
        found[f"upsampled/{key}"] = LayerAttribution.interpolate(found[f"gradCam/{key}"], (size, size), "bilinear")
        found[f"gradCamPlusPlus/{key}"] = plus_plus(a, g)
    if convolutional:
        method = GuidedGradCam(model, model.get_submodule(layers[0]))
        found[f"guidedGradCam/{layers[0]}"] = method.attribute(x, target=TARGETS, interpolate_mode="bilinear")
    return {k: v.detach().numpy() if isinstance(v, torch.Tensor) else v for k, v in found.items()}


def main():
    torch.set_num_threads(2)
    values = {}
    for name, (make, size, layers) in NETWORKS.items():
        for key, array in explanations(make(), size, layers).items():
            sparse = array.ravel()[::EVERY] if array.size > 500 else array
            values[f"{name}/{key}"] = np.array(sparse, np.float64 if sparse is array else np.float32)
            print(f"{name}/{key}: {array.shape} up to {np.abs(array).max():.3g}, mean {np.abs(array).mean():.3g}")
    path = FIXTURES / "explain.safetensors"
    save_file(values, path)
    path.chmod(0o644)
    print(f"{path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
