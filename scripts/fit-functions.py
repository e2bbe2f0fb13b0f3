"""Coefficients of the f32 functions of src/backends/native/kernel.h.

Each is a polynomial with the smallest largest weighted error (Lawson's reweighted least squares on Chebyshev nodes).
Coefficients are rounded to f32 one by one, lowest power first, and the rest fitted anew, so that their rounding costs
little. Prints them, highest power first, with the largest error of the function they serve in units of 2^-24 of it.
"""
import math

import numpy as np


def nodes(low, high, count=4000):
    t = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    return low + (high - low) * (t + 1) / 2


def lawson(basis, target, weight, rounds=60):
    mass = np.ones_like(target)
    for _ in range(rounds):
        w = np.sqrt(mass) * weight
        scale = np.abs(basis * w[:, None]).max(0)
        c = np.linalg.lstsq(basis * w[:, None] / scale, target * w, rcond=None)[0] / scale
        error = np.abs((basis @ c - target) * weight)
        mass = mass * (error + 1e-3 * error.max())
        mass /= mass.mean()
    return c


def fit(name, variable, target, weight, degree):
    """`target` as a polynomial in `variable`, errors counted as |error * weight|."""
    powers = np.stack([variable**k for k in range(degree + 1)], 1)
    fixed = []
    rest = target.copy()
    for k in range(degree + 1):
        c = np.float32(lawson(powers[:, k:], rest, weight)[0])
        fixed.append(float(c))
        rest = rest - c * powers[:, k]
    print(f"{name}: {np.abs(rest * weight).max() * 2**24:.3f} units")
    for c in reversed(fixed):
        print(f"  {np.float32(c)!r} {float(c).hex()}")


# exp r = 1 + r + r^2 P(r)
r = nodes(-0.3466, 0.3466)
fit("exp", r, (np.exp(r) - 1 - r) / r**2, r**2 / np.exp(r), 5)
# expm1 r = r + r^2 P(r)
fit("expm1", r, (np.expm1(r) - r) / r**2, r**2 / np.abs(np.expm1(r)), 5)
# log (1 + f) = f - f^2 / 2 + f^3 P(f)
f = nodes(math.sqrt(0.5) - 1, math.sqrt(2) - 1)
fit("log", f, (np.log1p(f) - f + f * f / 2) / f**3, f**3 / np.abs(np.log1p(f)), 8)
# tanh x = x + x^3 P(x^2)
x = nodes(1e-3, 0.625)
fit("tanh", x * x, (np.tanh(x) - x) / x**3, x**3 / np.tanh(x), 5)
# sin r = r + r^3 P(r^2), cos r = 1 - r^2 / 2 + r^4 P(r^2)
r = nodes(1e-3, math.pi / 4 + 1e-3)
fit("sin", r * r, (np.sin(r) - r) / r**3, r**3 / np.sin(r), 3)
fit("cos", r * r, (np.cos(r) - 1 + r * r / 2) / r**4, r**4 / np.cos(r), 2)
# atan t = t + t^3 P(t^2)
t = nodes(1e-3, 1)
fit("atan", t * t, (np.arctan(t) - t) / t**3, t**3 / np.arctan(t), 8)
# erf x = x + x P(x^2) near zero, 1 - exp Q(x) beyond
x = nodes(1e-3, 1.0)
erf = np.vectorize(math.erf)
erfc = np.vectorize(math.erfc)
fit("erf", x * x, erf(x) / x - 1, x / erf(x), 6)
x = nodes(1.0, 4.0)
fit("erfc", x, np.log(erfc(x)), erfc(x) / erf(x), 6)
