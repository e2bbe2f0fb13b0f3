"""Golden learning rates: the rate of each of the first 50 steps of every schedule, in schedules.json."""

import json

import torch
from torch.optim import lr_scheduler as s

from golden import FIXTURES, snake

STEPS = 50


def rates(lr, make, **options):
    """The rate in force at step 0 .. STEPS - 1 when the schedule advances once per step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = make(optimizer, **options)
    out = []
    for _ in range(STEPS):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(out) < STEPS:
            schedule.step()
    return out


def warm_cosine(optimizer, warmup_steps, total_steps, start_factor=1e-3, eta_min=0.0):
    """Linear from start_factor lr to lr, then half a cosine down to eta_min at total_steps."""
    warm = s.LinearLR(optimizer, start_factor=start_factor, total_iters=warmup_steps)
    cosine = s.CosineAnnealingLR(optimizer, T_max=total_steps - warmup_steps, eta_min=eta_min)
    return s.SequentialLR(optimizer, [warm, cosine], milestones=[warmup_steps])


KINDS = {
    "stepLR": s.StepLR,
    "multiStepLR": s.MultiStepLR,
    "exponentialLR": s.ExponentialLR,
    "cosineAnnealingLR": lambda o, t_max, eta_min=0.0: s.CosineAnnealingLR(o, t_max, eta_min),
    "oneCycleLR": lambda o, max_lr, **kw: s.OneCycleLR(o, max_lr, cycle_momentum=False, **kw),
    "polynomialLR": s.PolynomialLR,
    "linearLR": s.LinearLR,
    "warmupCosine": warm_cosine,
}
CASES = [
    ("stepLR", 0.1, {"stepSize": 10, "gamma": 0.1}),
    ("stepLR", 0.5, {"stepSize": 7, "gamma": 0.5}),
    ("multiStepLR", 0.1, {"milestones": [5, 20, 35], "gamma": 0.1}),
    ("multiStepLR", 0.3, {"milestones": [30, 40], "gamma": 0.25}),
    ("exponentialLR", 0.2, {"gamma": 0.95}),
    ("cosineAnnealingLR", 0.1, {"tMax": 50}),
    ("cosineAnnealingLR", 0.1, {"tMax": 49, "etaMin": 0.01}),
    ("oneCycleLR", 0.4, {"maxLr": 0.4, "totalSteps": 50}),
    ("oneCycleLR", 0.4, {"maxLr": 0.4, "totalSteps": 50, "annealStrategy": "linear"}),
    ("oneCycleLR", 0.1, {"maxLr": 0.1, "totalSteps": 50, "pctStart": 0.2, "divFactor": 10.0, "finalDivFactor": 100.0}),
    (
        "oneCycleLR",
        0.1,
        {
            "maxLr": 0.1,
            "totalSteps": 50,
            "pctStart": 0.45,
            "annealStrategy": "linear",
            "divFactor": 5.0,
            "finalDivFactor": 1e3,
        },
    ),
    ("oneCycleLR", 0.2, {"maxLr": 0.2, "totalSteps": 50, "pctStart": 0.3, "threePhase": True}),
    ("polynomialLR", 0.1, {"totalIters": 50, "power": 1.0}),
    ("polynomialLR", 0.1, {"totalIters": 40, "power": 0.9}),
    ("polynomialLR", 0.2, {"totalIters": 45, "power": 2.0}),
    ("linearLR", 0.1, {"startFactor": 0.1, "totalIters": 20}),
    ("warmupCosine", 0.1, {"warmupSteps": 5, "totalSteps": 50}),
    ("warmupCosine", 0.3, {"warmupSteps": 10, "totalSteps": 50, "startFactor": 0.01, "etaMin": 0.003}),
]


def main():
    cases = []
    for kind, lr, attrs in CASES:
        expected = rates(lr, KINDS[kind], **snake(attrs))
        cases.append({"name": f"{kind} {json.dumps(attrs)}", "kind": kind, "lr": lr, "attrs": attrs, "rates": expected})
    lines = ",\n".join(json.dumps(c) for c in cases)
    (FIXTURES / "schedules.json").write_text(f"[\n{lines}\n]\n")
    print(f"schedules: {len(cases)} cases")


if __name__ == "__main__":
    main()
