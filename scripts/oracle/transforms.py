"""Writes test/fixtures/transforms.{json,bin}: what Pillow and torchvision make of a small image.

    python3 scripts/oracle/transforms.py
"""

import json
import pathlib

import numpy as np
import PIL
import torchvision
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F
from torchvision.transforms.autoaugment import _apply_op

HEIGHT, WIDTH = 25, 34
MODES = {"nearest": InterpolationMode.NEAREST, "bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}

rng = np.random.default_rng(7)
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
smooth = np.stack([128 + 110 * np.sin(x / 5 + y / 9), 8 * x - 3 * y + 30, 250 - 9 * y], -1)
noise = rng.integers(-60, 60, (HEIGHT, WIDTH, 3))
color = Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))
grey = color.convert("L")

blob = bytearray()
cases = []


def store(array):
    array = np.ascontiguousarray(array)
    while len(blob) % 4:
        blob.append(0)
    at = {"offset": len(blob), "shape": list(array.shape), "dtype": {"uint8": "u8", "float32": "f32"}[str(array.dtype)]}
    blob.extend(array.tobytes())
    return at


def pixels(image):
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def case(name, image, expected, **args):
    source = "grey" if image is grey else "color"
    expected = expected if isinstance(expected, np.ndarray) else pixels(expected)
    cases.append({"name": name, "image": source, "args": args, "expected": store(expected)})


images = {"color": store(pixels(color)), "grey": store(pixels(grey))}

for image in (color, grey):
    for mode in MODES:
        for size in ((11, 13), (60, 41), (25, 9), (7, 34), (1, 1)):
            case("resize", image, F.resize(image, list(size), MODES[mode]), size=size, interpolation=mode)
    for side in (9, 40):
        case("resize", image, F.resize(image, side), size=side, interpolation="bilinear")
    for size in ((10, 11), (15, 14), (31, 20), (40, 41)):
        case("centerCrop", image, F.center_crop(image, list(size)), size=size)
    for mode in ("nearest", "bilinear"):
        for degrees in (0, 13.5, -77.25, 90, 180, 270):
            case("rotate", image, F.rotate(image, degrees, MODES[mode], fill=17), degrees=degrees, interpolation=mode, fill=17)
        expected = F.affine(image, 20, [3, -2], 1.2, [10, 5], MODES[mode], 0)
        case("affine", image, expected, angle=20, translate=[3, -2], scale=1.2, shear=[10, 5], interpolation=mode)
    for factor in (0, 0.35, 1, 1.7):
        case("adjustBrightness", image, F.adjust_brightness(image, factor), amount=factor)
        case("adjustContrast", image, F.adjust_contrast(image, factor), amount=factor)
        case("adjustSaturation", image, F.adjust_saturation(image, factor), amount=factor)
        case("adjustSharpness", image, F.adjust_sharpness(image, factor), amount=factor)
    for turns in (-0.5, -0.13, 0.04, 0.5):
        case("adjustHue", image, F.adjust_hue(image, turns), amount=turns)
    case("autoContrast", image, F.autocontrast(image))
    case("equalize", image, F.equalize(image))
    for bits in (1, 4, 8):
        case("posterize", image, F.posterize(image, bits), amount=bits)
    for threshold in (0, 100, 256):
        case("solarize", image, F.solarize(image, threshold), amount=threshold)

case("grayscale", color, F.rgb_to_grayscale(color, 1), channels=1)
case("grayscale", color, F.rgb_to_grayscale(color, 3), channels=3)
case("crop", color, F.crop(F.pad(color, 4, 0, "constant"), 1, 2, 20, 30), top=-3, left=-2, size=(20, 30), mode="constant")
case("crop", color, F.crop(F.pad(color, 4, 0, "edge"), 1, 2, 20, 30), top=-3, left=-2, size=(20, 30), mode="edge")
case("crop", color, F.crop(F.pad(color, 4, 0, "reflect"), 1, 2, 20, 30), top=-3, left=-2, size=(20, 30), mode="reflect")
case("crop", color, F.crop(F.pad(color, 4, 0, "reflect"), 9, 9, 24, 33), top=5, left=5, size=(24, 33), mode="reflect")
case("flipHorizontal", color, F.hflip(color))
case("flipVertical", color, F.vflip(color))
case("toFloat", color, F.to_tensor(color).numpy())
mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
case("normalize", color, F.normalize(F.to_tensor(color), mean, std).numpy(), mean=mean, std=std)

# (torchvision's name, ours, magnitude at full strength, signed)
AUGMENT = [
    ("Identity", "identity", 0.0, False),
    ("ShearX", "shearX", 0.3, True),
    ("ShearY", "shearY", 0.3, True),
    ("TranslateX", "translateX", 150.0 / 331.0 * WIDTH, True),
    ("TranslateY", "translateY", 150.0 / 331.0 * HEIGHT, True),
    ("Rotate", "rotate", 30.0, True),
    ("Brightness", "brightness", 0.9, True),
    ("Color", "color", 0.9, True),
    ("Contrast", "contrast", 0.9, True),
    ("Sharpness", "sharpness", 0.9, True),
    ("AutoContrast", "autoContrast", 0.0, False),
    ("Equalize", "equalize", 0.0, False),
]
for theirs, ours, full, signed in AUGMENT:
    for strength in (9 / 30, -9 / 30) if signed else (9 / 30,):
        expected = _apply_op(color, theirs, full * strength, InterpolationMode.NEAREST, None)
        case("randAugment", color, expected, operation=ours, strength=strength)
case("randAugment", color, _apply_op(color, "Posterize", 7, InterpolationMode.NEAREST, None), operation="posterize", strength=9 / 30)
case("randAugment", color, _apply_op(color, "Solarize", 255 * 21 / 30, InterpolationMode.NEAREST, None), operation="solarize", strength=9 / 30)

out = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures"
out.mkdir(parents=True, exist_ok=True)
(out / "transforms.bin").write_bytes(blob)
versions = {"pillow": PIL.__version__, "torchvision": torchvision.__version__}
lines = ",\n".join(json.dumps(c) for c in cases)
(out / "transforms.json").write_text(
    f'{{"versions": {json.dumps(versions)},\n"images": {json.dumps(images)},\n"cases": [\n{lines}\n]}}\n'
)
print(len(cases), "cases,", len(blob), "bytes")
