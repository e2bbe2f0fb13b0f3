"""Files of torch.save as PyTorch writes them, small, and what is in them.

../pytorch/<name>.pth, and in golden/pytorch.safetensors the tensors of each as <name>/<key>. golden/pytorch.json says
which options find the state dict of a file.
"""

import collections
import io
import json
import zipfile

import torch
from safetensors.torch import save_file
from torch import nn

from golden import FIXTURES

FOLDER = FIXTURES.parent / "pytorch"

EXPECTED = {}
OPTIONS = {}


def write(name, value, tensors, legacy=False, **options):
    path = FOLDER / f"{name}.pth"
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    path.chmod(0o644)
    OPTIONS[name] = options
    for key, tensor in tensors.items():
        # int64 is read as i32, int16 and int8 too.
        integer = tensor.dtype in (torch.int64, torch.int16, torch.int8)
        EXPECTED[f"{name}/{key}"] = (tensor.int() if integer else tensor.detach()).contiguous().clone()


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def main():
    torch.set_default_dtype(torch.float32)
    FOLDER.mkdir(parents=True, exist_ok=True)
    state = network().state_dict()
    write("plain", state, state)
    write("parameters", dict(network().named_parameters()), dict(network().named_parameters()))

    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    views = {
        "whole": base,
        "transposed": base.T,
        "rows": base[1:3],
        "columns": base[:, 1::2],
        "permuted": base.reshape(2, 3, 4).permute(2, 0, 1),
        "expanded": base[:1, :1].expand(3, 5),
        "scalar": base[2, 3],
        "empty": base[:0],
    }
    write("views", views, views)

    numbers = torch.tensor([0, 1, 2, 100])
    dtypes = {
        str(dtype).removeprefix("torch."): numbers.to(dtype)
        for dtype in [torch.float32, torch.float64, torch.float16, torch.bfloat16]
        + [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
    }
    dtypes["negative"] = torch.tensor([-1, -(2**31), 2**31 - 1])
    write("dtypes", dtypes, dtypes)

    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 2, 4, 4)).sum().backward()
    optimizer.step()
    wrapped = nn.DataParallel(model).state_dict()
    average = collections.OrderedDict((key, value.clone()) for key, value in model.state_dict().items())
    checkpoint = {
        "epoch": 3,
        "best": 0.75,
        "name": "網",
        "big": 2**70,
        "args": ["a", None, True, (1, 2.5)],
        "model": wrapped,
        "optimizer": optimizer.state_dict(),
        "ema": {"average": average},
    }
    write("nested", checkpoint, model.state_dict(), at="model", prefix="module.")
    write("single", {"epoch": 1, "state_dict": state}, state)
    write("legacy", {"model": {**state, **views}}, {**state, **views}, legacy=True)
    write("large", {"x": torch.tensor([2**31])}, {})

    torch.save(nn.Linear(2, 2), FOLDER / "module.pth")
    torch.jit.script(nn.Linear(2, 2)).save(str(FOLDER / "script.pt"))
    compressed = FOLDER / "compressed.pth"
    buffer = io.BytesIO()
    torch.save({"x": torch.zeros(64)}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(compressed, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            target.writestr(entry, source.read(entry))

    save_file(EXPECTED, FIXTURES / "pytorch.safetensors")
    (FIXTURES / "pytorch.safetensors").chmod(0o644)
    (FIXTURES / "pytorch.json").write_text(json.dumps(OPTIONS, indent=1) + "\n")


if __name__ == "__main__":
    main()
