"""PyTorch side of `manabi bench`: pytorch-peer.py THREADS f32|bf16

Reads one JSON request a line: a case with its sizes (see src/bench/works), and either "runs" and "inner" (calls per
timed run), answered by {"seconds": [...]}, or "peak": runs, answered by {"bytes": most memory the process has held}.
What it cannot do is answered by {"unable": reason}. Eager, default settings; bf16 is autocast on the CPU.
The hyphen in this file's name keeps others from importing it: the folder of a script is on Python's path.
"""
import json
import resource
import sys
import time

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError as error:
    sys.exit(f"python3 cannot import torch ({error})")

threads, precision = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(threads)
torch.manual_seed(0)


class Unable(Exception):
    pass


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")


def gemm(r):
    head = [r["batch"]] if r["batch"] > 1 else []
    a, b = torch.randn(*head, r["m"], r["k"]), torch.randn(*head, r["k"], r["n"])

    def run():
        with autocast():
            return a @ b

    return run


def conv(r):
    x = torch.randn(r["n"], r["c"], r["size"], r["size"])
    w = torch.randn(r["o"], r["c"] // r["groups"], r["kernel"], r["kernel"])
    args = (None, [r["stride"]] * 2, [r["padding"]] * 2, [1, 1], False, [0, 0], r["groups"])
    if r["mode"] == "forward":

        def run():
            with autocast():
                return torch.convolution(x, w, *args)

        return run
    if precision == "bf16":
        raise Unable("autocast has no gradient by itself")
    y = torch.randn_like(torch.convolution(x, w, *args))
    mask = [r["mode"] == "inputGrad", r["mode"] == "weightGrad", False]
    return lambda: torch.ops.aten.convolution_backward(y, x, w, None, *args[1:], mask)


def training(model, opt, x, y):
    def step():
        opt.zero_grad()
        with autocast():
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()

    return step


def sgd(model, momentum=0.0):
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=momentum)


def torchvision():
    try:
        import torchvision
    except ImportError as error:
        raise Unable(f"python3 cannot import torchvision ({error}); pip install torchvision")
    return torchvision.models


def images(batch):
    return torch.randn(batch, 3, 224, 224), torch.randint(0, 1000, (batch,))


def mlp(_):
    model = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
    return training(model, sgd(model), torch.randn(32, 784), torch.randint(0, 10, (32,)))


class SequenceClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(256, 256), nn.Linear(256, 10)

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])


def lstm(_):
    model = SequenceClassifier()
    return training(model, sgd(model), torch.randn(100, 32, 256), torch.randint(0, 10, (32,)))


def convnet(_):
    first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)]
    model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), *head)
    return training(model, sgd(model), torch.randn(32, 1, 28, 28), torch.randint(0, 10, (32,)))


def resnet(r):
    model = getattr(torchvision(), r["model"])()
    return training(model, sgd(model, 0.9), *images(r["batch"]))


def vit(r):
    model = torchvision().vit_b_16()
    return training(model, torch.optim.AdamW(model.parameters(), lr=1e-4), *images(r["batch"]))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(self, x):
        b, t, width = x.shape
        q, k, v = (p.view(b, t, 12, -1).transpose(1, 2) for p in self.c_attn(self.ln_1(x)).split(width, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, width)
        x = x + self.c_proj(y)
        return x + self.mlp(self.ln_2(x))


class Decoder(nn.Module):
    def __init__(self, vocabulary, context, width=768):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        for table in (self.wte, self.wpe):
            nn.init.normal_(table.weight, std=0.02)
        self.h, self.ln_f = nn.ModuleList(Block(width) for _ in range(12)), nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return (self.ln_f(x) @ self.wte.weight.T).flatten(0, 1)


def gpt(r):
    model = Decoder(r["vocabulary"], r["context"])
    tokens = torch.randint(0, r["vocabulary"], (r["batch"], r["context"]))
    return training(model, torch.optim.AdamW(model.parameters(), lr=1e-4), tokens, tokens.flatten())


def inference(r):
    model, x = getattr(torchvision(), r["model"])().eval(), images(r["batch"])[0]

    def run():
        with torch.inference_mode(), autocast():
            return model(x)

    return run


def peak_bytes():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:  # no Linux: there this is bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def answer(request, run):
    if "peak" in request:
        for _ in range(request["peak"]):
            run()
        return {"bytes": peak_bytes()}
    run()  # both sides wake up untimed
    seconds = []
    for _ in range(request["runs"]):
        start = time.perf_counter()
        for _ in range(request["inner"]):
            run()
        seconds.append((time.perf_counter() - start) / request["inner"])
    return {"seconds": seconds}


cases = {"gemm": gemm, "conv": conv, "mlp": mlp, "lstm": lstm, "resnet": resnet, "vit": vit, "gpt": gpt}
cases |= {"inference": inference, "convnet": convnet}
suffix = " with bf16 autocast" if precision == "bf16" else ""
print(json.dumps({"peer": f"PyTorch {torch.__version__}{suffix}", "threads": torch.get_num_threads()}), flush=True)
made = {}
for line in sys.stdin:
    request = json.loads(line)
    key = json.dumps({k: v for k, v in request.items() if k not in ("runs", "inner", "peak")}, sort_keys=True)
    try:
        if key not in made:
            made.clear()
            if request["case"] not in cases:
                raise Unable("not written for this library")
            made[key] = cases[request["case"]](request)
        print(json.dumps(answer(request, made[key])), flush=True)
    except Unable as reason:
        print(json.dumps({"unable": str(reason)}), flush=True)
    except Exception as error:  # such as no memory: the other works go on
        print(json.dumps({"unable": f"{type(error).__name__}: {error}"}), flush=True)
