"""Golden trajectories: twenty steps of every optimizer on one small problem.

Minimize mean((tanh(x @ weight + bias) - y)^2). Weight decay acts on weight only unless a case says decayBias.
<name>/weight [20,3,4] and <name>/bias [20,4] hold the parameters after each step; problem/* the data and the start.
"""

import torch
from torch import nn

from golden import Suite, draw, exact, expected, generator, normal, snake

STEPS = 20
suite = Suite("optim")
rng = generator("optimizer problem")
PROBLEM = {
    "x": draw(normal(6, 3), rng),
    "y": draw(normal(6, 4, scale=0.7), rng),
    "weight": draw(normal(3, 4, scale=0.6), rng),
    "bias": draw(normal(4, scale=0.6), rng),
}


class Lamb(torch.optim.Optimizer):
    """LAMB, algorithm 2 of You et al. 2019 (arXiv:1904.00962): bias-corrected moments, phi(z) = z, and the trust ratio
    |p| / |r + decay p| for every tensor (1 where either norm is zero)."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state.update(t=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["t"] += 1
                state["m"].lerp_(p.grad, 1 - beta1)
                state["v"].lerp_(p.grad.square(), 1 - beta2)
                m = state["m"] / (1 - beta1 ** state["t"])
                v = state["v"] / (1 - beta2 ** state["t"])
                r = m / (v.sqrt() + group["eps"]) + group["weight_decay"] * p
                norm_p, norm_r = p.norm().item(), r.norm().item()
                trust = norm_p / norm_r if norm_p > 0 and norm_r > 0 else 1.0
                p.sub_(group["lr"] * trust * r)


RULES = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamW": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "lamb": Lamb,
}


def add(kind, label, decay_bias=False, clip_norm=None, clip_value=None, ema=None, **options):
    name = f"{kind} {label}".strip()
    weight = nn.Parameter(PROBLEM["weight"].clone())
    bias = nn.Parameter(PROBLEM["bias"].clone())
    groups = [{"params": [weight]}, {"params": [bias]} if decay_bias else {"params": [bias], "weight_decay": 0.0}]
    rule = RULES[kind](groups, **snake(options))
    average = {"weight": weight.detach().clone(), "bias": bias.detach().clone()}
    path = {"weight": [], "bias": []}
    for _ in range(STEPS):
        rule.zero_grad()
        loss = ((PROBLEM["x"] @ weight + bias).tanh() - PROBLEM["y"]).square().mean()
        loss.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_([weight, bias], clip_norm)
        if clip_value is not None:
            nn.utils.clip_grad_value_([weight, bias], clip_value)
        rule.step()
        for key, p in [("weight", weight), ("bias", bias)]:
            path[key].append(p.detach().clone())
            if ema is not None:
                average[key] = ema * average[key] + (1 - ema) * p.detach()
    for key in path:
        suite.put(f"{name}/{key}", expected(torch.stack(path[key])))
        if ema is not None:
            suite.put(f"{name}/ema/{key}", expected(average[key]))
    extra = {"decayBias": decay_bias, "clipNorm": clip_norm, "clipValue": clip_value, "ema": ema}
    suite.record(name, kind, options, [], [], [], **{k: v for k, v in extra.items() if v})


def main():
    for key, tensor in PROBLEM.items():
        suite.put(f"problem/{key}", exact(tensor))

    add("sgd", "", lr=0.3)
    add("sgd", "momentum", lr=0.1, momentum=0.9)
    add("sgd", "nesterov", lr=0.1, momentum=0.9, nesterov=True)
    add("sgd", "dampening", lr=0.2, momentum=0.8, dampening=0.4)
    add("sgd", "decay", lr=0.1, momentum=0.9, weightDecay=0.05)
    add("sgd", "nesterov, decay of all", decay_bias=True, lr=0.1, momentum=0.9, nesterov=True, weightDecay=0.05)
    add("adam", "", lr=0.05)
    add("adam", "decay", lr=0.05, weightDecay=0.1)
    add("adam", "amsgrad", lr=0.1, betas=[0.8, 0.9], eps=1e-6, amsgrad=True)
    add("adamW", "", lr=0.05)
    add("adamW", "decay", lr=0.05, weightDecay=0.2)
    add("adamW", "amsgrad", lr=0.1, betas=[0.7, 0.95], weightDecay=0.1, amsgrad=True)
    add("rmsprop", "", lr=0.02)
    add("rmsprop", "centered", lr=0.01, alpha=0.9, centered=True)
    add("rmsprop", "momentum, decay", lr=0.01, alpha=0.95, eps=1e-6, momentum=0.9, weightDecay=0.1)
    add("adagrad", "", lr=0.1)
    add("adagrad", "decays", lr=0.2, lrDecay=0.05, weightDecay=0.1, initialAccumulatorValue=0.1)
    add("lamb", "", lr=0.05)
    add("lamb", "decay", lr=0.05, betas=[0.8, 0.95], weightDecay=0.1)
    add("sgd", "clipped by norm", clip_norm=0.2, lr=0.3, momentum=0.5)
    add("adamW", "clipped by norm", clip_norm=0.1, lr=0.05, weightDecay=0.1)
    add("sgd", "clipped by value", clip_value=0.05, lr=0.3)
    add("sgd", "averaged", ema=0.9, lr=0.2, momentum=0.9)
    add("adamW", "averaged", ema=0.75, lr=0.05)
    suite.write()


if __name__ == "__main__":
    main()
