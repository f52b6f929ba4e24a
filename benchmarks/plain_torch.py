"""M2, ADGM and LVAE as a user of PyTorch would write them: tiled classes, tensors in memory.

Networks, batches and objectives are those of `plain_keras.py`.
"""

import math
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

CLASSES, PIXELS = 10, 784
ALPHA = 60.0  # of the classification term: 0.1 x 60,000 / 100


def _mlp(inputs: int, *units: int) -> nn.Module:
    layers: list[nn.Module] = []
    for size in units[:-1]:
        layers += [nn.Linear(inputs, size), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, units[-1]))


def _draw(parameters):
    """Return (mean, log-variance, a sample) of a network's output."""
    mean, log_var = parameters.chunk(2, dim=-1)
    return mean, log_var, mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)


def _cross_entropy(x, logits):
    return functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def _kl(mean, log_var, mean_p=0.0, log_var_p=None):
    log_var_p = torch.zeros(()) if log_var_p is None else log_var_p
    ratio, distance = log_var - log_var_p, (mean - mean_p).square() * torch.exp(-log_var_p)
    return 0.5 * (torch.exp(ratio) + distance - 1.0 - ratio).sum(-1)


def _log_normal(value, mean, log_var):
    squared = (value - mean).square() * torch.exp(-log_var)
    return -0.5 * (squared + log_var + math.log(2 * math.pi)).sum(-1)


class Plain(nn.Module):
    """What M2 and LVAE share: nothing is drawn before the class."""

    def auxiliary(self, x):
        """Return nothing: only ADGM has an auxiliary variable."""
        return ()

    def classify(self, x, auxiliary):
        """Return the logits of q(y|x)."""
        return self.classifier(x)


class M2(Plain):
    """784-600-600, z 50."""

    def __init__(self):
        super().__init__()
        self.classifier = _mlp(PIXELS, 600, CLASSES)
        self.encoder = _mlp(PIXELS + CLASSES, 600, 600, 2 * 50)
        self.decoder = _mlp(50 + CLASSES, 600, 600, PIXELS)

    def negative_bound(self, x, y, auxiliary):
        """Return minus the bound on log p(x, y), (rows,)."""
        mean, log_var, z = _draw(self.encoder(torch.cat([x, y], -1)))
        logits = self.decoder(torch.cat([z, y], -1))
        return _cross_entropy(x, logits) + _kl(mean, log_var) + math.log(CLASSES)


class ADGM(nn.Module):
    """784-500-500, a and z 100."""

    def __init__(self):
        super().__init__()
        self.auxiliary_encoder = _mlp(PIXELS, 500, 500, 2 * 100)
        self.classifier = _mlp(PIXELS + 100, 500, CLASSES)
        self.encoder = _mlp(PIXELS + 100 + CLASSES, 500, 500, 2 * 100)
        self.auxiliary_decoder = _mlp(PIXELS + CLASSES + 100, 500, 500, 2 * 100)
        self.decoder = _mlp(CLASSES + 100, 500, 500, PIXELS)

    def auxiliary(self, x):
        """Return (mean, log-variance, a sample) of q(a|x)."""
        return _draw(self.auxiliary_encoder(x))

    def classify(self, x, auxiliary):
        """Return the logits of q(y|a, x)."""
        return self.classifier(torch.cat([x, auxiliary[2]], -1))

    def negative_bound(self, x, y, auxiliary):
        """Return minus the bound on log p(x, y), (rows,); a is the one that the classifier sees."""
        mean_a, log_var_a, a = auxiliary
        mean, log_var, z = _draw(self.encoder(torch.cat([x, a, y], -1)))
        p_a = self.auxiliary_decoder(torch.cat([x, y, z], -1)).chunk(2, dim=-1)
        logits = self.decoder(torch.cat([y, z], -1))
        kl_a = _log_normal(a, mean_a, log_var_a) - _log_normal(a, *p_a)
        return _cross_entropy(x, logits) + _kl(mean, log_var) + kl_a + math.log(CLASSES)


def _hidden(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 128), nn.BatchNorm1d(128), nn.LeakyReLU())


class LVAE(Plain):
    """z 32-16-8, three layers of 128."""

    def __init__(self):
        super().__init__()
        sizes = (32, 16, 8)
        self.upward = nn.ModuleList([_hidden(PIXELS), _hidden(128), _hidden(128 + CLASSES)])
        self.heads_q = nn.ModuleList([nn.Linear(128, 2 * size) for size in sizes])
        self.downward = nn.ModuleList([_hidden(16), _hidden(8 + CLASSES)])
        self.heads_p = nn.ModuleList([nn.Linear(128, 2 * size) for size in sizes[:2]])
        self.decoder = nn.Sequential(_hidden(32), nn.Linear(128, PIXELS))
        self.classifier = nn.Sequential(_hidden(PIXELS), nn.Linear(128, CLASSES))

    def negative_bound(self, x, y, auxiliary):
        """Return minus the bound on log p(x, y), (rows,)."""
        seen, features = [], x
        for level, (network, head) in enumerate(zip(self.upward, self.heads_q, strict=True)):
            features = network(torch.cat([features, y], -1) if level == 2 else features)
            seen.append(head(features).chunk(2, dim=-1))
        mean, log_var = seen[2]
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        total = _kl(mean, log_var)
        for level in (1, 0):
            features = self.downward[level](torch.cat([z, y], -1) if level == 1 else z)
            mean_p, log_var_p = self.heads_p[level](features).chunk(2, dim=-1)
            mean_q, log_var_q = seen[level]
            precision_q, precision_p = torch.exp(-log_var_q), torch.exp(-log_var_p)
            precision = precision_q + precision_p
            mean = (mean_q * precision_q + mean_p * precision_p) / precision
            log_var = -torch.log(precision)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            total = total + _kl(mean, log_var, mean_p, log_var_p)
        return _cross_entropy(x, self.decoder(z)) + total + math.log(CLASSES)


def matrix_peak(size: int = 4096, repeats: int = 5) -> float:
    """Return the best rate of a square matrix product, operations a second."""
    a = torch.randn(size, size)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        (a @ a).sum().item()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


MODELS = {"m2": M2, "adgm": ADGM, "lvae": LVAE}


def step_seconds(
    method: str, x: np.ndarray, y: np.ndarray, labelled: int, unlabelled: int, steps: int
) -> list[float]:
    """Take some steps and return the seconds of each.

    Args:
        method: "m2", "adgm" or "lvae".
        x: (n, 28, 28, 1) uint8 images.
        y: (n,) labels, -1 where there is none.
        labelled: labelled images a step.
        unlabelled: unlabelled images a step.
        steps: at most one pass over the unlabelled images.
    """
    model = MODELS[method]()
    optimizer = torch.optim.Adam(model.parameters(), 3e-4)
    images = torch.from_numpy(x.reshape(-1, PIXELS)).float() / 255
    known, labels = images[torch.from_numpy(y >= 0)], torch.from_numpy(y[y >= 0])
    others = images[torch.from_numpy(y < 0)]
    order = torch.randperm(len(others))
    every_y = torch.eye(CLASSES).repeat(unlabelled, 1)
    seconds = []
    for step in range(steps):
        started = time.perf_counter()
        chosen = torch.randint(len(known), (labelled,))
        x_l, y_l = known[chosen], labels[chosen]
        x_u = others[order[step * unlabelled : (step + 1) * unlabelled]]
        a_l, a_u = model.auxiliary(x_l), model.auxiliary(x_u)
        bound_l = model.negative_bound(x_l, functional.one_hot(y_l, CLASSES).float(), a_l)
        tiled, *tiled_a = (part.repeat_interleave(CLASSES, 0) for part in (x_u, *a_u))
        per_class = model.negative_bound(tiled, every_y, tiled_a)
        log_q = functional.log_softmax(model.classify(x_u, a_u), -1)
        bound_u = (log_q.exp() * (per_class.view(-1, CLASSES) + log_q)).sum(-1)
        crossed = functional.cross_entropy(model.classify(x_l, a_l), y_l)
        loss = bound_l.mean() + bound_u.mean() + ALPHA * crossed
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return seconds
