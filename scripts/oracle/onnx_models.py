"""ONNX files as torch.onnx writes them, by tracing (-old) and by its newer exporter, small; an input and the output of
each in golden/onnx.safetensors as <name>/input and <name>/output.

Needs onnx and onnxscript.
"""

import onnx
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from golden import FIXTURES

FOLDER = FIXTURES.parent / "onnx"


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, padding="same", groups=3)
        self.bn2 = nn.BatchNorm2d(6)
        self.fc = nn.Linear(24, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = F.dropout(F.relu6(x + self.bn2(self.conv2(x))), 0.5, self.training)
        x = F.avg_pool2d(x, 2, 1, 1) + F.hardswish(F.adaptive_avg_pool2d(x, 1))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x[:, :, :4, :4], 2), 1))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(5, 8)
        self.norm1 = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)
        self.norm2 = nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.position = nn.Parameter(torch.randn(1, 6, 8))

    def forward(self, x):
        x = self.embed(x) + self.position
        b, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return (x + self.mlp(self.norm2(x))).log_softmax(-1).mean(1)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1)
        self.norm = nn.GroupNorm(3, 3)
        self.shuffle = nn.Conv2d(4, 8, 1)
        self.last = nn.Conv2d(8, 2, 3)

    def forward(self, x):
        a = F.silu(self.norm(self.up(x)))
        b = F.pixel_shuffle(self.shuffle(x), 2)
        c = F.interpolate(x[:, :2], scale_factor=2, mode="bilinear", align_corners=False)
        d = F.interpolate(x[:, 3:], scale_factor=2, mode="nearest")
        return torch.tanh(self.last(F.pad(torch.cat([a, b, c, d], 1), (1, 2, 0, 1), mode="reflect")))


MODELS = {
    "classifier": (Classifier, (2, 3, 20, 20)),
    "transformer": (Transformer, (2, 6, 5)),
    "decoder": (Decoder, (2, 4, 5, 6)),
}


def strip(path):
    """Remove what tells where the exporter ran, such as stack traces."""
    model = onnx.load(path)
    for part in [model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info]:
        part.doc_string = ""
        del part.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
    onnx.save(model, path)


def main():
    torch.set_default_dtype(torch.float32)
    FOLDER.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, (make, shape) in MODELS.items():
        torch.manual_seed(1)
        model = make()
        for _ in range(2):  # running statistics that are not those of a new model
            model(torch.randn(shape))
        model.eval()
        x = torch.randn(shape)
        names = {"input_names": ["x"], "output_names": ["y"]}
        torch.onnx.export(
            model, (x,), FOLDER / f"{name}-old.onnx", dynamo=False, dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, **names
        )
        torch.onnx.export(
            model,
            (x,),
            FOLDER / f"{name}.onnx",
            dynamo=True,
            external_data=False,
            dynamic_shapes=({0: torch.export.Dim("n")},),
            verbose=False,
            **names,
        )
        # Another size of the batch than the one that was traced.
        x = torch.randn((3, *shape[1:]))
        with torch.no_grad():
            tensors |= {f"{name}/input": x, f"{name}/output": model(x).contiguous()}
    for path in FOLDER.iterdir():
        strip(path)
        path.chmod(0o644)
    save_file(tensors, FIXTURES / "onnx.safetensors")
    (FIXTURES / "onnx.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
