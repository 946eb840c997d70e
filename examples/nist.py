"""Regression problems with certified answers, and how many digits of them are reached.

The problems are the Statistical Reference Datasets of NIST (https://www.itl.nist.gov/div898/strd/): eleven
linear and twenty-seven nonlinear ones, with the parameters to eleven digits or more. Each nonlinear one has
two starts, one far from the solution and one near.

SciPy's least squares gets its Jacobian from automatic differentiation. Then Newton's method, with the Hessian
by automatic differentiation, takes the last steps: near the minimum it doubles the digits that are right. Run
it (it needs SciPy):

    python examples/nist.py tests/data/nist.json
"""

import json
import sys
from pathlib import Path

import numpy as np
from numpy import cos, exp, pi, sin
from scipy.optimize import least_squares

from tinygrad_lr.func import grad, hessian

DATA = Path(__file__).parent.parent / "tests" / "data" / "nist.json"


def cubic_over_cubic(b, x):
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def two_peaks(b, x):
    peaks = b[2] * exp(-((x - b[3]) ** 2) / b[4] ** 2) + b[5] * exp(-((x - b[6]) ** 2) / b[7] ** 2)
    return b[0] * exp(-b[1] * x) + peaks


def three_exponentials(b, x):
    return b[0] * exp(-b[1] * x) + b[2] * exp(-b[3] * x) + b[4] * exp(-b[5] * x)


def three_cycles(b, x):
    def cycle(cosine, sine, period):
        return cosine * cos(2 * pi * x / period) + sine * sin(2 * pi * x / period)

    return b[0] + cycle(b[1], b[2], 12) + cycle(b[4], b[5], b[3]) + cycle(b[7], b[8], b[6])


def saturation(b, x):
    return b[0] * (1 - exp(-b[1] * x))


def decay_over_line(b, x):
    return exp(-b[0] * x) / (b[1] + b[2] * x)


#: what y is modelled as, by parameters b and x
MODELS = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": saturation,
    "Chwirut1": decay_over_line,
    "Chwirut2": decay_over_line,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": three_cycles,
    "Eckerle4": lambda b, x: b[0] / b[1] * exp(-(((x - b[2]) / b[1]) ** 2) / 2),
    "Gauss1": two_peaks,
    "Gauss2": two_peaks,
    "Gauss3": two_peaks,
    "Hahn1": cubic_over_cubic,
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": three_exponentials,
    "Lanczos2": three_exponentials,
    "Lanczos3": three_exponentials,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * exp(-x * b[3]) + b[2] * exp(-x * b[4]),
    "Misra1a": saturation,
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda b, x: b[0] - b[1] * x[0] * exp(-b[2] * x[1]),  # of the logarithm of y
    "Rat42": lambda b, x: b[0] / (1 + exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / pi,
    "Thurber": cubic_over_cubic,
}


def nonlinear(name, problem, start):
    """The parameters by SciPy's least squares, and after two more steps of Newton's method."""
    model, x, y = MODELS[name], np.array(problem["x"]), np.array(problem["y"])
    if name == "Nelson":
        y = np.log(y)

    def jacobian(b):
        # Each residual depends on the parameters only, not on other residuals: with a copy of the parameters
        # for each residual, one gradient of the sum is the whole Jacobian.
        copies = np.repeat(np.array(b)[:, np.newaxis], len(y), axis=1)
        return grad(lambda copies: np.sum(model(copies, x)))(copies).T

    options = {"x_scale": "jac", "xtol": 1e-13, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 2000}
    with np.errstate(all="ignore"):  # far from the solution a trial step may overflow; it is not taken
        fitted = least_squares(lambda b: model(b, x) - y, start, jac=jacobian, **options).x
    return fitted, newton(lambda b: np.sum((model(b, x) - y) ** 2), fitted, steps=2)


def linear(problem):
    """The parameters by three steps of Newton's method from zero: the second and third undo rounding.

    The columns, powers of x, are nearly dependent, so that their Hessian would have a condition number that
    double precision cannot hold. The parameters are therefore b = basis @ c, where the columns of X @ basis
    are orthonormal but for rounding; the steps are taken in c.

    The loss and its gradient are computed in NumPy's longest floats, which have three digits more than double
    precision on most Intel and AMD machines and none elsewhere. That is enough for the step, whose own
    equations are solved in double precision: what it misses, the next one takes.
    """
    x, y, powers = decimals(problem["x"]), decimals(problem["y"]), problem["powers"]
    X = np.stack([x**k for k in powers], 1) if powers else np.column_stack([np.ones(len(y)), x.T])
    size = np.sqrt(np.sum(X**2, axis=0))  # columns of equal size, so that the unit of x does not matter
    basis = np.linalg.inv(np.linalg.qr((X / size).astype(float)).R) / size[:, np.newaxis]
    columns = X @ basis
    return basis @ newton(lambda c: np.sum((columns @ c - y) ** 2), 0 * basis[0], steps=3)


def decimals(values):
    """The numbers as they are printed, which double precision has rounded, as long floats."""
    text = np.array(values).astype(str)  # the shortest decimals that are read as these numbers
    return np.vectorize(np.longdouble)(text)


def newton(loss, b, steps):
    for _ in range(steps):
        H, slope = hessian(loss)(b).astype(float), grad(loss)(b).astype(float)
        unit = 1 / np.sqrt(np.diag(H))  # parameters in units of their own: some are 1e10 times others
        b = b - unit * np.linalg.solve(H * unit * unit[:, np.newaxis], unit * slope)
    return b


def digits(b, certified):
    """How many digits of the worst parameter are right: -log10 of its relative error, at most 15."""
    error = np.abs(b - np.array(certified)) / np.abs(certified)
    return float(np.min(-np.log10(np.clip(error, 1e-15, 1))))


if __name__ == "__main__":
    problems = json.loads(Path(*sys.argv[1:2] or [DATA]).read_text("utf-8"))
    print("linear problem     digits by Newton")
    for name, problem in problems["linear"].items():
        print(f"{name:<12} {digits(linear(problem), problem['certified']):16.1f}")
    print("\nnonlinear problem  start  digits by least squares  and Newton")
    for name, problem in problems["nonlinear"].items():
        for number, start in enumerate(problem["starts"], 1):
            reached = [digits(b, problem["certified"]) for b in nonlinear(name, problem, start)]
            print(f"{name:<12} {number:11} {reached[0]:24.1f} {reached[1]:11.1f}")
