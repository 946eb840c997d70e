"""Writes torch.json, what PyTorch computes where the tests compare with it:

python tests/data/record_torch.py tests/data/torch.json
"""

import json
import sys
from typing import Any

import torch
from torch import nn

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 0.1}),
    "sgd-decay": ("SGD", {"lr": 0.1, "weight_decay": 0.3}),
    "sgd-momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "sgd-momentum-decay": ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.2}),
    "sgd-nesterov": ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
    "sgd-nesterov-decay": ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.2}),
    "adam": ("Adam", {"lr": 0.1}),
    "adam-options": ("Adam", {"lr": 0.02, "betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
}
SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "step": ("StepLR", {"step_size": 3, "gamma": 0.5}),
    "cosine": ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
}
STEPS = 12
Y_HAT = [[1.5, -2.0, 0.25], [0.0, 3.0, -1.0]]
Y = [[1.0, 0.0, 1.0], [0.5, 1.0, 0.0]]
LOSSES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "cross-entropy": ("CrossEntropyLoss", {}, [2, 0]),
    "cross-entropy-probabilities": ("CrossEntropyLoss", {}, [[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]]),
    "bce": ("BCEWithLogitsLoss", {}, Y),
    "mse": ("MSELoss", {}, Y),
    "mse-sum": ("MSELoss", {"reduction": "sum"}, Y),
    "l1": ("L1Loss", {}, Y),
    "huber": ("HuberLoss", {"delta": 0.75}, Y),
    "huber-sum": ("HuberLoss", {"delta": 0.5, "reduction": "sum"}, Y),
}


def objective(w: Any, b: Any, target: Any) -> Any:
    """Not quadratic, and with another minimum for each element."""
    return ((w - target) ** 2 * (1 + w**2)).sum() + (b**4 - b).sum()


def recorded() -> dict[str, Any]:
    torch.set_default_dtype(torch.float64)
    return {
        "source": f"PyTorch {torch.__version__}, CPU, float64",
        "optimizers": {name: optimized(*how) for name, how in OPTIMIZERS.items()},
        "schedules": {name: scheduled(*how) for name, how in SCHEDULES.items()},
        "losses": {name: lost(*how) for name, how in LOSSES.items()},
    }


def optimized(name: str, options: dict[str, Any]) -> dict[str, Any]:
    w = torch.tensor([[1.0, -0.5], [0.25, 2.0], [-1.0, 0.0]], requires_grad=True)
    b = torch.tensor(0.5, requires_grad=True)
    start = [w.tolist(), b.item()]
    optimizer = getattr(torch.optim, name)([w, b], **options)
    steps = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        objective(w, b, torch.arange(6.0).reshape(3, 2) / 3).backward()
        optimizer.step()
        steps.append([w.tolist(), b.item()])
    return {"class": name, "options": options, "start": start, "steps": steps}


def scheduled(name: str, options: dict[str, Any]) -> dict[str, Any]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    lrs = []
    for _ in range(STEPS):
        lrs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return {"class": name, "options": options, "lr": 0.4, "lrs": lrs}


def lost(name: str, options: dict[str, Any], y: Any) -> dict[str, Any]:
    y_hat = torch.tensor(Y_HAT, requires_grad=True)
    value = getattr(nn, name)(**options)(y_hat, torch.tensor(y))
    value.backward()
    assert y_hat.grad is not None
    return {
        "class": name,
        "options": options,
        "y_hat": Y_HAT,
        "y": y,
        "value": value.item(),
        "grad": y_hat.grad.tolist(),
    }


if __name__ == "__main__":
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(recorded(), file, separators=(",", ":"))
        file.write("\n")
