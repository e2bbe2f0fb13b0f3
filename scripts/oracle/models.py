"""Image models other than ResNets, with the weights and images that resnet.py generates (see there).

models/keys.json: per model the number of parameters and of keys, and the SHA-256 of its lines "key:[shape]".
models/values.safetensors: logits and gradients as in resnet.py, dropout and stochastic depth off; and
    positions/<from>-<to>    position embeddings of a ViT, resized
"""

import hashlib
import json

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn
from torchvision import models
from torchvision.models import efficientnet, vgg
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from golden import FIXTURES
from resnet import PROBE, generate, images, signed

FOLDER = FIXTURES / "models"


class WideBlock(nn.Module):
    """Pre-activation block of Zagoruyko and Komodakis 2016; a convolution on the shortcut sees the activated input."""

    def __init__(self, in_channels, channels, stride, dropout):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        if in_channels != channels:
            self.convShortcut = nn.Conv2d(in_channels, channels, 1, stride, 0, bias=False)
        self.dropout = dropout

    def forward(self, x):
        active = self.bn1(x).relu()
        y = F.dropout(self.bn2(self.conv1(active)).relu(), self.dropout, self.training)
        return self.conv2(y) + (self.convShortcut(active) if hasattr(self, "convShortcut") else x)


class Stage(nn.Module):
    def __init__(self, count, in_channels, channels, stride, dropout):
        super().__init__()
        rest = [WideBlock(channels, channels, 1, dropout) for _ in range(count - 1)]
        self.layer = nn.Sequential(WideBlock(in_channels, channels, stride, dropout), *rest)

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self, depth, widen, num_classes=10, dropout=0.0):
        super().__init__()
        count, widths = (depth - 4) // 6, [16, 16 * widen, 32 * widen, 64 * widen]
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.block1 = Stage(count, widths[0], widths[1], 1, dropout)
        self.block2 = Stage(count, widths[1], widths[2], 2, dropout)
        self.block3 = Stage(count, widths[2], widths[3], 2, dropout)
        self.bn1 = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], num_classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(self.bn1(x).relu().mean((2, 3)))


def small_vgg():
    features = [8, "M", 8, "M", 16, 16, "M", 16, 16, "M", 16, 16, "M"]
    model = vgg.VGG(vgg.make_layers(features, batch_norm=True), num_classes=10, dropout=0)
    head = [nn.Linear(16 * 49, 32), nn.ReLU(), nn.Dropout(0), nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0)]
    model.classifier = nn.Sequential(*head, nn.Linear(32, 10))
    return model


def small_efficientnet():
    settings, last = efficientnet._efficientnet_conf("efficientnet_b0", width_mult=0.25, depth_mult=0.5)
    norm = lambda channels: nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
    return efficientnet.EfficientNet(settings, 0, 0, num_classes=10, norm_layer=norm, last_channel=last)


def small_vit(**options):
    return VisionTransformer(32, 8, 2, 4, 64, 128, num_classes=10, **options)


KEYS = {
    name: getattr(models, name)
    for name in [
        *["wide_resnet50_2", "wide_resnet101_2", "mobilenet_v2"],
        *[f"vgg{depth}{norm}" for depth in [11, 13, 16, 19] for norm in ["", "_bn"]],
        *[f"efficientnet_b{i}" for i in range(8)],
        *["vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14"],
    ]
}
KEYS |= {f"wrn_{d}_{k}": lambda d=d, k=k: WideResNet(d, k) for d, k in [(16, 4), (16, 8), (28, 10), (40, 2), (40, 4)]}
MODELS = {
    "wide_resnet50_2": models.wide_resnet50_2,
    "wrn_16_4": lambda: WideResNet(16, 4),
    "wrn_small": lambda: WideResNet(10, 2),
    "vgg11": lambda: models.vgg11(dropout=0),
    "vgg_small": small_vgg,
    "mobilenet_v2": lambda: models.mobilenet_v2(dropout=0),
    "mobilenet_small": lambda: MobileNetV2(10, width_mult=0.35, dropout=0),
    "efficientnet_b0": lambda: models.efficientnet_b0(dropout=0, stochastic_depth_prob=0),
    "efficientnet_small": small_efficientnet,
    "vit_b_32": models.vit_b_32,
    "vit_small": small_vit,
    "vit_small_mlp": lambda: small_vit(representation_size=24),
}
# Factor of the weights, so that images still differ after many gates and saturating activations.
GAINS = {name: 1.3 for name in ["vgg11", "vgg_small", "mobilenet_v2", "mobilenet_small"]}
GAINS |= {name: 1.45 for name in ["efficientnet_b0", "efficientnet_small"]}
# model, mode, image size
LOGITS = [
    ("wide_resnet50_2", "eval", 64),
    ("wrn_16_4", "eval", 32),
    ("wrn_16_4", "train", 32),
    ("wrn_small", "eval", 32),
    ("vgg11", "eval", 64),
    ("vgg_small", "eval", 64),
    ("vgg_small", "train", 64),
    ("mobilenet_v2", "eval", 64),
    ("mobilenet_v2", "train", 64),
    ("mobilenet_small", "eval", 64),
    ("efficientnet_b0", "eval", 64),
    ("efficientnet_b0", "train", 64),
    ("efficientnet_small", "eval", 64),
    ("vit_b_32", "eval", 224),
    ("vit_small", "eval", 32),
    ("vit_small_mlp", "eval", 32),
]
# model, batch, image size
GRADS = [
    ("wrn_small", 4, 32),
    ("vgg_small", 4, 64),
    ("mobilenet_small", 4, 64),
    ("efficientnet_small", 4, 64),
    ("mobilenet_v2", 4, 64),
    ("efficientnet_b0", 4, 64),
    ("vit_small", 4, 32),
    ("vit_small_mlp", 4, 32),
]


def keys_of(name):
    with torch.device("meta"):
        model = KEYS[name]()
    state = model.state_dict()
    text = "".join(f"{key}:[{','.join(map(str, v.shape))}]\n" for key, v in state.items())
    count = sum(p.numel() for p in model.parameters())
    return {"parameters": count, "keys": len(state), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def loss_and_gradients(name, batch, size):
    model = generate(MODELS[name](), GAINS.get(name, 1)).train()
    logits = model(images(batch, size))
    loss = F.cross_entropy(logits, torch.arange(batch) * 7 % logits.shape[1])
    loss.backward()
    rows = [
        [p.grad.norm().item(), float(p.grad.numpy().ravel() @ signed(PROBE, p.numel()))] for p in model.parameters()
    ]
    return {f"{name}/loss": loss.detach().numpy(), f"{name}/grads": np.array(rows)}


def positions(old, new):
    state = {"encoder.pos_embedding": torch.from_numpy(signed(0, (old * old + 1) * 8)).reshape(1, -1, 8)}
    return interpolate_embeddings(16 * new, 16, state)["encoder.pos_embedding"].numpy()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    keys = {name: keys_of(name) for name in KEYS}
    (FOLDER / "keys.json").write_text(json.dumps(keys, indent=1) + "\n")
    values = {}
    for name, mode, size in LOGITS:
        with torch.no_grad():
            logits = generate(MODELS[name](), GAINS.get(name, 1)).train(mode == "train")(images(2, size))
        values[f"{name}/{mode}{size}"] = logits.numpy()
        print(f"{name} {mode} {size}: spread {logits.std():.3g}, between images {(logits[0] - logits[1]).std():.3g}")
    for name, batch, size in GRADS:
        values |= loss_and_gradients(name, batch, size)
        print(f"{name}: loss {values[f'{name}/loss']:.6g}")
    for old, new in [(4, 7), (7, 4), (14, 24)]:
        values[f"positions/{old}-{new}"] = np.ascontiguousarray(positions(old, new))
    path = FOLDER / "values.safetensors"
    save_file(values, path)
    path.chmod(0o644)


if __name__ == "__main__":
    main()
