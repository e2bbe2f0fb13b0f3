"""Checkpoints as timm and transformers lay them out: names and shapes of their tensors, and logits.

Names are those of the files: of timm the state dict's, of transformers what `save_pretrained` writes. Weights are generated
as in resnet.py, where a tensor's number t is its place among the sorted names.

layouts/keys.json: by library and our name of the model the number of parameters and of keys, and the SHA-256 of the sorted
lines "name:[shape]". Convolutions that stand for a Linear (timm's VGG) are counted as [out, in].
layouts/values.safetensors: by library and case
    <library>/<case>/<size>   logits of two images, size x size, in eval mode
    <library>/<case>/loss     mean cross-entropy of a batch of four, images as large as those of the logits
    <library>/<case>/grads    per parameter, sorted by name, [|g|, <g, s(PROBE, .)>] of that loss
"""

import hashlib
import json

import numpy as np
import timm
import torch
import torch.nn.functional as F
import transformers
from safetensors.numpy import save_file
from timm.models import efficientnet, resnet, vgg, vision_transformer_hybrid
from timm.models.vision_transformer import VisionTransformer
from transformers.core_model_loading import revert_weight_conversion

from golden import FIXTURES
from resnet import PROBE, generated, images, signed

FOLDER = FIXTURES / "layouts"


def timm_vit(image, patch, width, depth, heads, mlp=4, classes=1000):
    return VisionTransformer(image, patch, embed_dim=width, depth=depth, num_heads=heads, mlp_ratio=mlp, num_classes=classes)


def timm_hybrid_small():
    return vision_transformer_hybrid._create_vision_transformer_hybrid(
        "vit_small_r26_s32_224",
        backbone=vision_transformer_hybrid._resnetv2((1, 1)),
        **{"img_size": 64, "embed_dim": 64, "depth": 2, "num_heads": 4, "mlp_ratio": 2, "num_classes": 10},
    )


def timm_vgg_small():
    features = [8, "M", 8, "M", 16, 16, "M", 16, 16, "M", 16, 16, "M"]
    return vgg.VGG(features, num_classes=10, norm_layer=torch.nn.BatchNorm2d)


def timm_efficientnet_small(**options):
    return efficientnet._gen_efficientnet(
        "efficientnet_b0", channel_multiplier=0.25, depth_multiplier=0.5, num_classes=10, **options
    )


def hf_vit(image, patch, width, depth, heads, mlp=4, classes=1000):
    config = transformers.ViTConfig(
        **{"image_size": image, "patch_size": patch, "hidden_size": width, "num_hidden_layers": depth},
        **{"num_attention_heads": heads, "intermediate_size": mlp * width, "num_labels": classes},
    )
    return transformers.ViTForImageClassification(config)


def hf_resnet(block, layers, widths, classes=1000):
    factor = 4 if block == "bottleneck" else 1
    config = transformers.ResNetConfig(
        **{"embedding_size": widths[0], "layer_type": block, "depths": layers},
        **{"hidden_sizes": [factor * w for w in widths], "num_labels": classes},
    )
    return transformers.ResNetForImageClassification(config)


def hf_efficientnet(width, depth, hidden, odd=(), classes=1000):
    config = transformers.EfficientNetConfig(
        **{"width_coefficient": width, "depth_coefficient": depth, "hidden_dim": hidden},
        **{"depthwise_padding": list(odd), "num_labels": classes},
    )
    return transformers.EfficientNetForImageClassification(config)


def hf_mobilenet(width=1.0, classes=1000):
    config = transformers.MobileNetV2Config(depth_multiplier=width, num_labels=classes)
    return transformers.MobileNetV2ForImageClassification(config)


VITS = {
    "vit_ti_16": (224, 16, 192, 12, 3),
    "vit_s_16": (224, 16, 384, 12, 6),
    "vit_b_16": (224, 16, 768, 12, 12),
    "vit_b_32": (224, 32, 768, 12, 12),
    "vit_l_16": (224, 16, 1024, 24, 16),
    "vit_l_32": (224, 32, 1024, 24, 16),
    "vit_h_14": (224, 14, 1280, 32, 16),
}
RESNETS = {
    "resnet18": ("basic", [2, 2, 2, 2]),
    "resnet34": ("basic", [3, 4, 6, 3]),
    "resnet50": ("bottleneck", [3, 4, 6, 3]),
    "resnet101": ("bottleneck", [3, 4, 23, 3]),
    "resnet152": ("bottleneck", [3, 8, 36, 3]),
}
# width, depth, channels before the head
EFFICIENTNETS = [
    *[(1.0, 1.0, 1280), (1.0, 1.1, 1280), (1.1, 1.2, 1408), (1.2, 1.4, 1536)],
    *[(1.4, 1.8, 1792), (1.6, 2.2, 2048), (1.8, 2.6, 2304), (2.0, 3.1, 2560)],
]
TIMM_NAMES = {
    "vit_ti_16": "vit_tiny_patch16_224",
    "vit_s_16": "vit_small_patch16_224",
    "vit_b_16": "vit_base_patch16_224",
    "vit_b_32": "vit_base_patch32_224",
    "vit_l_16": "vit_large_patch16_224",
    "vit_l_32": "vit_large_patch32_224",
    "vit_h_14": "vit_huge_patch14_224",
    "mobilenet_v2": "mobilenetv2_100",
}
TIMM_NAMES |= {
    name: name
    for name in [
        *RESNETS,
        *["wide_resnet50_2", "wide_resnet101_2"],
        *[f"vgg{depth}{norm}" for depth in [11, 13, 16, 19] for norm in ["", "_bn"]],
        *[f"{tf}efficientnet_b{i}" for tf in ["", "tf_"] for i in range(8)],
        *["vit_tiny_r_s16_p8_224", "vit_small_r26_s32_224", "vit_base_r50_s16_224", "vit_large_r50_s32_224"],
    ]
}


def timm_model(name):
    """A model of timm without drawn weights; hybrids find the size of their maps by running, which takes real ones."""
    if "_r" in name:
        return timm.create_model(name, num_classes=1000)
    with torch.device("meta"):
        return timm.create_model(name, num_classes=1000)


def on_meta(make, *args):
    with torch.device("meta"):
        return make(*args)


KEYS = {"timm": {ours: lambda name=name: timm_model(name) for ours, name in TIMM_NAMES.items()}}
KEYS["transformers"] = (
    {name: lambda args=args: on_meta(hf_vit, *args) for name, args in VITS.items()}
    | {
        name: lambda block=block, layers=layers: on_meta(hf_resnet, block, layers, [64, 128, 256, 512])
        for name, (block, layers) in RESNETS.items()
    }
    | {f"efficientnet_b{i}": lambda args=args: on_meta(hf_efficientnet, *args) for i, args in enumerate(EFFICIENTNETS)}
    | {"mobilenet_v2": lambda: on_meta(hf_mobilenet)}
)

# case: model, image size
CASES = {
    "timm": {
        "resnet_small": (
            lambda: resnet.ResNet(resnet.BasicBlock, (1, 1, 1, 1), channels=(64, 24, 32, 40), num_classes=10),
            64,
        ),
        "resnet18": (lambda: timm.create_model("resnet18"), 64),
        "vgg_small": (timm_vgg_small, 64),
        "vgg11": (lambda: timm.create_model("vgg11"), 64),
        "mobilenet_small": (lambda: timm.create_model("mobilenetv2_035", num_classes=10), 64),
        "mobilenet_v2": (lambda: timm.create_model("mobilenetv2_100"), 64),
        "efficientnet_small": (timm_efficientnet_small, 64),
        "efficientnet_b0": (lambda: timm.create_model("efficientnet_b0"), 64),
        "tf_efficientnet_small": (lambda: timm_efficientnet_small(pad_type="same", bn_eps=1e-3), 75),
        "tf_efficientnet_b0": (lambda: timm.create_model("tf_efficientnet_b0"), 75),
        "vit_small": (lambda: timm_vit(32, 8, 64, 2, 4, 2, 10), 32),
        "vit_b_32": (lambda: timm.create_model("vit_base_patch32_224"), 224),
        "hybrid_small": (timm_hybrid_small, 64),
        "vit_tiny_r_s16_p8_224": (lambda: timm.create_model("vit_tiny_r_s16_p8_224"), 224),
        "vit_base_r50_s16_224": (lambda: timm.create_model("vit_base_r50_s16_224", num_classes=1000), 224),
    },
    "transformers": {
        "resnet_small": (lambda: hf_resnet("basic", [1, 1, 1, 1], [16, 24, 32, 40], 10), 64),
        "resnet50": (lambda: hf_resnet("bottleneck", [3, 4, 6, 3], [64, 128, 256, 512]), 64),
        "mobilenet_small": (lambda: hf_mobilenet(0.35, 10), 75),
        "mobilenet_v2": (hf_mobilenet, 64),
        # 120 pixels come to 15 in front of block 3, whose padding is that of odd maps then.
        "efficientnet_small": (lambda: hf_efficientnet(0.5, 0.5, 640, [3], 10), 120),
        "efficientnet_b0": (lambda: hf_efficientnet(*EFFICIENTNETS[0]), 64),
        "vit_small": (lambda: hf_vit(32, 8, 64, 2, 4, 2, 10), 32),
        "vit_b_32": (lambda: hf_vit(*VITS["vit_b_32"]), 224),
    },
}
GRADS = [("timm", "hybrid_small")]
GAINS = {"vgg": 1.3, "mobilenet": 1.3, "efficientnet": 1.45, "tf_efficientnet": 1.45}


def file_state(library, model):
    """The tensors of a model by the names that its file has, sorted."""
    state = model.state_dict()
    if library == "transformers":
        state = revert_weight_conversion(model, state)
    return dict(sorted(state.items()))


def keys_of(library, model):
    state = file_state(library, model)
    shapes = {key: v.shape for key, v in state.items()}
    flat = {k: [s[0], s[1:].numel()] if "pre_logits" in k and len(s) == 4 else s for k, s in shapes.items()}
    text = "".join(f"{key}:[{','.join(map(str, shape))}]\n" for key, shape in flat.items())
    count = sum(p.numel() for p in model.parameters())
    return {"parameters": count, "keys": len(state), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def gain_of(case):
    return next((gain for start, gain in GAINS.items() if case.startswith(start)), 1)


def generate_file(library, model, gain):
    """Fill the tensors of the file, which are those of the model itself."""
    model.double().eval()
    own = {v.data_ptr() for v in model.state_dict().values()}
    with torch.no_grad():
        for t, (key, tensor) in enumerate(file_state(library, model).items()):
            assert tensor.data_ptr() in own, key
            if tensor.is_floating_point():
                tensor.copy_(generated(t, key, tensor, gain))
    return model


def logits_of(model, x):
    y = model(x)
    return y if isinstance(y, torch.Tensor) else y.logits


def loss_and_gradients(case, model, size):
    logits = logits_of(model, images(4, size))
    loss = F.cross_entropy(logits, torch.arange(4) * 7 % logits.shape[1])
    loss.backward()
    rows = [
        [p.grad.norm().item(), float(p.grad.numpy().ravel() @ signed(PROBE, p.numel()))]
        for _, p in sorted(model.named_parameters())
    ]
    return {f"{case}/loss": loss.detach().numpy(), f"{case}/grads": np.array(rows)}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    keys = {library: {name: keys_of(library, make()) for name, make in models.items()} for library, models in KEYS.items()}
    (FOLDER / "keys.json").write_text(json.dumps(keys, indent=1) + "\n")
    values = {}
    for library, cases in CASES.items():
        for case, (make, size) in cases.items():
            name = f"{library}/{case}"
            model = generate_file(library, make(), gain_of(case))
            with torch.no_grad():
                logits = logits_of(model, images(2, size))
            values[f"{name}/{size}"] = logits.numpy()
            print(f"{name} {size}: spread {logits.std():.3g}, between images {(logits[0] - logits[1]).std():.3g}")
            if (library, case) in GRADS:
                values |= loss_and_gradients(name, model, size)
    path = FOLDER / "values.safetensors"
    save_file(values, path)
    path.chmod(0o644)


if __name__ == "__main__":
    main()
