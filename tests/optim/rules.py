"""The optimizers' formulas in float64, from the papers and TensorFlow, with the options to test."""

import numpy as np

# Each takes parameter w, gradient g, rate, decay, state s (a dict) and step t from 1, and returns the new w.


def momentum_rule(*, nesterov=False, mu=0.9, dampening=0.0):
    def rule(w, g, rate, decay, s, t):
        g = g + decay * w
        s["v"] = mu * s["v"] + (1 - dampening) * g if t > 1 else g
        return w - rate * (g + mu * s["v"] if nesterov else s["v"])

    return rule


def rmsprop_rule(*, eps, mu=0.9, rho=0.9, centered=False):
    def rule(w, g, rate, decay, s, t):
        g = g + decay * w
        s["ms"] = rho * s.get("ms", 1.0) + (1 - rho) * g**2
        s["mg"] = rho * s.get("mg", 0.0) + (1 - rho) * g
        variance = s["ms"] - s["mg"] ** 2 if centered else s["ms"]
        s["mom"] = mu * s.get("mom", 0.0) + rate * g / np.sqrt(variance + eps)
        return w - s["mom"]

    return rule


def moments(g, s, b1=0.9, b2=0.999):
    s["m"] = b1 * s.get("m", 0.0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0.0) + (1 - b2) * g**2
    return s["m"], s["v"]


def adam_rule(*, eps=1e-8, nesterov=False, decoupled=False, b1=0.9, b2=0.999):
    def rule(w, g, rate, decay, s, t):
        if decoupled:
            w = w * (1 - rate * decay)
        else:
            g = g + decay * w
        m, v = moments(g, s, b1, b2)
        m = b1 * m + (1 - b1) * g if nesterov else m
        return w - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)

    return rule


def nadam_rule(*, eps=1e-8, psi=4e-3):
    def rule(w, g, rate, decay, s, t):
        g = g + decay * w
        m, v = moments(g, s)
        mu, mu_next = (0.9 * (1 - 0.5 * 0.96 ** (k * psi)) for k in (t, t + 1))
        s["product"] = s.get("product", 1.0) * mu
        denominator = np.sqrt(v / (1 - 0.999**t)) + eps
        w = w - rate * (1 - mu) / (1 - s["product"]) * g / denominator
        return w - rate * mu_next / (1 - s["product"] * mu_next) * m / denominator

    return rule


def lamb_rule(*, eps=1e-6):
    def rule(w, g, rate, decay, s, t):
        m, v = moments(g, s)
        r = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + eps) + decay * w
        w_norm, r_norm = np.linalg.norm(w), np.linalg.norm(r)
        return w - rate * (w_norm / r_norm if w_norm > 0 and r_norm > 0 else 1.0) * r

    return rule


def lion_rule(*, b1=0.9, b2=0.99):
    def rule(w, g, rate, decay, s, t):
        m = s.get("m", 0.0)
        s["m"] = b2 * m + (1 - b2) * g
        total = b1 * m + (1 - b1) * g
        # Rounding to float32 may turn the sign of these elements.
        s["unclear"] = s.get("unclear", False) | (abs(total) < 1e-5 * (1 - b1) * abs(g))
        return w - rate * (np.sign(total) + decay * w)

    return rule


def adagrad_rule(*, eps=1e-10, accum=0.1):
    def rule(w, g, rate, decay, s, t):
        g = g + decay * w
        s["a"] = s.get("a", accum) + g**2
        return w - rate * g / (np.sqrt(s["a"]) + eps)

    return rule


def adan_rule(*, eps=1e-8, b1=0.98, b2=0.92, b3=0.99):
    def rule(w, g, rate, decay, s, t):
        change = g - s.get("g", g)
        ahead = g + b2 * change
        s["g"] = g
        s["m"] = b1 * s.get("m", 0.0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0.0) + (1 - b2) * change
        s["n"] = b3 * s.get("n", 0.0) + (1 - b3) * ahead**2
        moved = s["m"] / (1 - b1**t) + b2 * s["v"] / (1 - b2**t)
        return (w - rate * moved / (np.sqrt(s["n"] / (1 - b3**t)) + eps)) / (1 + rate * decay)

    return rule


CASES = {
    "sgd": ({"opt": "sgd"}, momentum_rule()),
    "sgd without momentum": ({"opt": "sgd", "momentum": 0.0}, momentum_rule(mu=0.0)),
    "sgd with dampening": ({"opt": "sgd", "dampening": 0.5}, momentum_rule(dampening=0.5)),
    "sgd nesterov": ({"opt": "sgd", "nesterov": True}, momentum_rule(nesterov=True)),
    "momentum": ({"opt": "momentum", "momentum": 0.8}, momentum_rule(mu=0.8)),
    "momentum nesterov": ({"opt": "momentum", "nesterov": True}, momentum_rule(nesterov=True)),
    "nesterov": ({"opt": "nesterov"}, momentum_rule(nesterov=True)),
    "rmsprop": ({"opt": "rmsprop", "eps": 1e-3}, rmsprop_rule(eps=1e-3)),
    "rmsprop decay": (
        {"opt": "rmsprop", "momentum": 0.5, "decay": 0.8},
        rmsprop_rule(eps=1e-10, mu=0.5, rho=0.8),
    ),
    "rmsprop centered": (
        {"opt": "rmsprop", "eps": 1e-3, "centered": True},
        rmsprop_rule(eps=1e-3, centered=True),
    ),
    "adam": ({"opt": "adam"}, adam_rule()),
    "adam eps": ({"opt": "adam", "eps": 0.1}, adam_rule(eps=0.1)),
    "adam nesterov": ({"opt": "adam", "nesterov": True}, adam_rule(nesterov=True)),
    "adamw": ({"opt": "adamw"}, adam_rule(decoupled=True)),
    "adamw betas": ({"opt": "adamw", "beta1": 0.8, "beta2": 0.9}, adam_rule(decoupled=True, b1=0.8, b2=0.9)),
    "adan": ({"opt": "adan"}, adan_rule()),
    "adan eps": (
        {"opt": "adan", "eps": 0.1, "beta1": 0.9, "beta2": 0.8, "beta3": 0.95},
        adan_rule(eps=0.1, b1=0.9, b2=0.8, b3=0.95),
    ),
    "lamb": ({"opt": "lamb"}, lamb_rule()),
    "lamb eps": ({"opt": "lamb", "eps": 0.1}, lamb_rule(eps=0.1)),
    "lion": ({"opt": "lion"}, lion_rule()),
    "adagrad": ({"opt": "adagrad"}, adagrad_rule()),
    "adagrad eps": ({"opt": "adagrad", "eps": 0.1, "accum": 0.0}, adagrad_rule(eps=0.1, accum=0.0)),
    "nadam": ({"opt": "nadam"}, nadam_rule()),
    "nadam eps": ({"opt": "nadam", "eps": 0.1, "momentum_decay": 1.0}, nadam_rule(eps=0.1, psi=1.0)),
}
