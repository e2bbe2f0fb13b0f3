"""PyTorch side of `npm run bench`: reads one JSON request a line, answers {"seconds": [...]} of that many runs.

Requests: {"case": "gemm", "n": 512}, {"case": "conv", "mode": "forward" | "inputGrad" | "weightGrad", "n", "c", "o",
"size", "kernel", "stride", "padding", "groups"}, {"case": "mlp"}, {"case": "resnet18", "batch", "size"};
each with "runs" and "inner" (calls per timed run). f32, eager, its default settings.
"""
import json
import os
import sys
import time

import torch

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)


def gemm(r):
    a, b = torch.randn(r["n"], r["n"]), torch.randn(r["n"], r["n"])
    return lambda: a @ b


def conv(r):
    x = torch.randn(r["n"], r["c"], r["size"], r["size"])
    w = torch.randn(r["o"], r["c"] // r["groups"], r["kernel"], r["kernel"])
    args = (None, [r["stride"]] * 2, [r["padding"]] * 2, [1, 1], False, [0, 0], r["groups"])
    if r["mode"] == "forward":
        return lambda: torch.convolution(x, w, *args)
    y = torch.randn_like(torch.convolution(x, w, *args))
    mask = [r["mode"] == "inputGrad", r["mode"] == "weightGrad", False]
    return lambda: torch.ops.aten.convolution_backward(y, x, w, None, *args[1:], mask)


def training(model, x, y, lr):
    opt = torch.optim.SGD(model.parameters(), lr=lr)

    def step():
        opt.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        opt.step()

    return step


def mlp(_):
    model = torch.nn.Sequential(torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    return training(model, torch.randn(32, 784), torch.randint(0, 10, (32,)), 0.01)


def resnet18(r):
    import torchvision

    x = torch.randn(r["batch"], 3, r["size"], r["size"])
    return training(torchvision.models.resnet18(), x, torch.randint(0, 1000, (r["batch"],)), 0.01)


cases = {"gemm": gemm, "conv": conv, "mlp": mlp, "resnet18": resnet18}
made = {}
print(json.dumps({"peer": f"PyTorch {torch.__version__}", "threads": torch.get_num_threads(), "pid": os.getpid()}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    key = json.dumps({k: v for k, v in request.items() if k not in ("runs", "inner")}, sort_keys=True)
    if key not in made:
        made.clear()
        made[key] = cases[request["case"]](request)
    made[key]()  # both sides wake up untimed
    seconds = []
    for _ in range(request["runs"]):
        start = time.perf_counter()
        for _ in range(request["inner"]):
            made[key]()
        seconds.append((time.perf_counter() - start) / request["inner"])
    print(json.dumps({"seconds": seconds}), flush=True)
