"""Records first and second derivatives over many magnitudes, by mpmath, in mpmath.json.

    pip install mpmath scipy
    python tests/data/record_mpmath.py

Beside each derivative stands by how much it moves if the arguments are doubled, the rate taken where they
are: times the rounding of the arguments, that is what no formula can do better.
"""

import itertools
import json
import math
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import mpmath as m
import scipy.special as sc

SIZES = [
    *(
        1e-300,
        1e-150,
        1e-90,
        1e-40,
        1e-17,
        1e-9,
        1e-5,
        0.002,
        0.04,
        0.2,
        0.45,
        0.497,
        0.62,
        0.9,
        0.9999,
        1 - 1e-9,
    ),
    *(
        1 - 2.0**-40,
        1 + 2.0**-30,
        1.4,
        1.97,
        2.2,
        3.3,
        4.7,
        5.6,
        6.8,
        7.1,
        11.6,
        19.3,
        20.5,
        29.3,
        37.7,
        90.2,
    ),
    *(300.1, 705.3, 3e4, 1e8, 1e17, 1e50, 1e90, 1e150, 1e300),
]
SECONDS = 2  # for a point at most
POINTS = [0.0, *SIZES, *(-size for size in SIZES)]
FEWER = [1e-160, 1e-8, 0.3, 2.5, 50.0, 1e12, 1e160]
PAIRS = list(itertools.product(FEWER, FEWER))
SIGNED = [*PAIRS, *((-a, b) for a, b in PAIRS[::2]), *((a, -b) for a, b in PAIRS[1::2])]


def ndtr(x: Any) -> Any:
    return m.erfc(-x / m.sqrt(2)) / 2


def density(x: Any) -> Any:
    return m.exp(-x * x / 2) / m.sqrt(2 * m.pi)


def beta_density(a: Any, b: Any, x: Any) -> Any:
    return x ** (a - 1) * (1 - x) ** (b - 1) / m.beta(a, b)


def gamma_density(a: Any, x: Any) -> Any:
    return x ** (a - 1) * m.exp(-x) / m.gamma(a)


class Given:
    """A function whose first three derivatives are given, as numbers or by the first as a function."""

    def __init__(self, slopes: Callable[[Any], Any]) -> None:
        self.slopes = slopes


def integral(slope: Callable[[Any], Any]) -> Given:
    """By its first derivative."""
    return Given(lambda x: [slope(x), difference(slope, x, 1), difference(slope, x, 2)])


def inverse(function: Any, slope: Any, start: Any) -> Given:
    """By the function that it inverts, and the derivative of that; Newton's method, from where SciPy says."""

    def slopes(y: Any) -> list[Any]:
        x = m.mpf(float(start(float(y))))
        for _ in range(60):
            step = (function(x) - y) / slope(x)
            x -= step
            if abs(step) <= m.mpf(10) ** (-m.mp.dps // 2 - 3) * abs(x):
                break
        else:
            raise ArithmeticError("no root")
        d, d1, d2 = slope(x), difference(slope, x, 1), difference(slope, x, 2)
        return [1 / d, -d1 / d**3, (3 * d1**2 - d * d2) / d**5]

    return Given(slopes)


def difference(function: Any, x: Any, order: int) -> Any:
    step = min(abs(x), 1)
    return m.diff(lambda t: function(x + step * t), 0, order) / step**order


def bessel(function: Any, v: Any, first: Any, sign: int, scale: int = 0) -> Given:
    """By its neighbours, the one before and sign times the one after, times `first`; times exp(scale |x|)."""

    def own(k: int, x: Any) -> Any:
        terms = (math.comb(k, j) * sign**j * function(m.mpf(v) - k + 2 * j, x) for j in range(k + 1))
        return m.mpf(first) ** k * m.fsum(terms)

    def slopes(x: Any) -> list[Any]:
        if scale and not x:
            raise ArithmeticError("a kink")
        rate = scale * m.sign(x)
        return [
            m.exp(scale * abs(x))
            * m.fsum(math.comb(n, k) * rate ** (n - k) * own(k, x) for k in range(n + 1))
            for n in (1, 2, 3)
        ]

    return Given(slopes)


#: an expression of the test, and what mpmath has for it
UNARY: dict[str, Callable[[Any], Any] | Given] = {
    "np.square(x)": lambda x: x * x,
    "np.reciprocal(x)": lambda x: 1 / x,
    "np.sqrt(x)": m.sqrt,
    "np.cbrt(x)": lambda x: m.sign(x) * m.cbrt(abs(x)),
    **{f"np.power(x, {n})": lambda x, n=n: x ** m.mpf(n) for n in (-2, -0.5, 1, 1.5, 3)},
    "np.power(1.7, x)": lambda x: m.mpf(1.7) ** x,
    "np.divide(1.7, x)": lambda x: m.mpf(1.7) / x,
    "np.exp(x)": m.exp,
    "np.exp2(x)": lambda x: m.mpf(2) ** x,
    "np.expm1(x)": m.expm1,
    "np.log(x)": m.log,
    "np.log2(x)": lambda x: m.log(x) / m.log(2),
    "np.log10(x)": m.log10,
    "np.log1p(x)": lambda x: m.log(1 + x),
    "np.sin(x)": m.sin,
    "np.cos(x)": m.cos,
    "np.tan(x)": m.tan,
    "np.arcsin(x)": m.asin,
    "np.arccos(x)": m.acos,
    "np.arctan(x)": m.atan,
    "np.sinh(x)": m.sinh,
    "np.cosh(x)": m.cosh,
    "np.tanh(x)": m.tanh,
    "np.arcsinh(x)": m.asinh,
    "np.arccosh(x)": m.acosh,
    "np.arctanh(x)": m.atanh,
    "np.sinc(x)": m.sincpi,
    "np.i0(x)": bessel(m.besseli, 0, 0.5, 1),
    "special.exp10(x)": lambda x: m.mpf(10) ** x,
    "special.cosm1(x)": lambda x: m.cos(x) - 1,
    "special.exprel(x)": lambda x: m.expm1(x) / x if x else m.mpf(1),
    "special.expit(x)": lambda x: 1 / (1 + m.exp(-x)),
    "special.log_expit(x)": lambda x: -m.log(1 + m.exp(-x)),
    "special.logit(x)": lambda x: m.log(x / (1 - x)),
    "special.entr(x)": lambda x: -x * m.log(x),
    "special.erf(x)": m.erf,
    "special.erfc(x)": m.erfc,
    "special.erfcx(x)": lambda x: m.exp(x * x) * m.erfc(x),
    "special.erfi(x)": m.erfi,
    "special.dawsn(x)": lambda x: m.sqrt(m.pi) / 2 * m.exp(-x * x) * m.erfi(x),
    "special.erfinv(x)": inverse(m.erf, lambda y: 2 / m.sqrt(m.pi) * m.exp(-y * y), sc.erfinv),
    "special.erfcinv(x)": inverse(m.erfc, lambda y: -2 / m.sqrt(m.pi) * m.exp(-y * y), sc.erfcinv),
    "special.ndtr(x)": ndtr,
    "special.ndtri(x)": inverse(ndtr, density, sc.ndtri),
    "special.log_ndtr(x)": lambda x: m.log(ndtr(x)),
    "special.ndtri_exp(x)": inverse(lambda y: m.log(ndtr(y)), lambda y: density(y) / ndtr(y), sc.ndtri_exp),
    "special.gaussian(x)": lambda x: m.exp(-x * x),
    "special.gamma(x)": m.gamma,
    "special.rgamma(x)": m.rgamma,
    "special.gammaln(x)": lambda x: m.log(abs(m.gamma(x))),
    "special.psi(x)": m.digamma,
    "special.hurwitz_zeta(2, x)": lambda x: m.zeta(2, x),
    "special.hurwitz_zeta(3.5, x)": lambda x: m.zeta(m.mpf(3.5), x),
    "special.polygamma(2, x)": lambda x: m.psi(2, x),
    "special.multigammaln(x, 3)": lambda x: (
        3 * m.log(m.pi) / 2 + m.loggamma(x) + m.loggamma(x - m.mpf(1) / 2) + m.loggamma(x - 1)
    ),
    **{f"special.gammainc({a}, x)": integral(lambda x, a=a: gamma_density(a, x)) for a in (0.5, 1, 3)},
    **{f"special.gammaincc({a}, x)": integral(lambda x, a=a: -gamma_density(a, x)) for a in (0.5, 3)},
    "special.gammaincinv(2.5, x)": inverse(
        lambda y: m.gammainc(2.5, 0, y, regularized=True),
        lambda y: gamma_density(2.5, y),
        lambda x: sc.gammaincinv(2.5, x),
    ),
    "special.gammainccinv(2.5, x)": inverse(
        lambda y: m.gammainc(2.5, y, regularized=True),
        lambda y: -gamma_density(2.5, y),
        lambda x: sc.gammainccinv(2.5, x),
    ),
    "special.betainc(0.5, 3, x)": integral(lambda x: beta_density(m.mpf(0.5), 3, x)),
    "special.betainc(1, 1e13, x)": integral(lambda x: beta_density(1, m.mpf(10) ** 13, x)),
    "special.betaincc(2, 0.5, x)": integral(lambda x: -beta_density(2, m.mpf(0.5), x)),
    "special.betaincinv(2.5, 1.5, x)": inverse(
        lambda y: m.betainc(2.5, 1.5, 0, y, regularized=True),
        lambda y: beta_density(2.5, 1.5, y),
        lambda x: sc.betaincinv(2.5, 1.5, x),
    ),
    "special.betainccinv(2.5, 1.5, x)": inverse(
        lambda y: m.betainc(2.5, 1.5, y, 1, regularized=True),
        lambda y: -beta_density(2.5, 1.5, y),
        lambda x: sc.betainccinv(2.5, 1.5, x),
    ),
    "special.j0(x)": bessel(m.besselj, 0, 0.5, -1),
    "special.j1(x)": bessel(m.besselj, 1, 0.5, -1),
    "special.jv(2.5, x)": bessel(m.besselj, 2.5, 0.5, -1),
    "special.y0(x)": bessel(m.bessely, 0, 0.5, -1),
    "special.y1(x)": bessel(m.bessely, 1, 0.5, -1),
    "special.yv(2.5, x)": bessel(m.bessely, 2.5, 0.5, -1),
    "special.yn(2, x)": bessel(m.bessely, 2, 0.5, -1),
    "special.i1(x)": bessel(m.besseli, 1, 0.5, 1),
    "special.iv(2.5, x)": bessel(m.besseli, 2.5, 0.5, 1),
    "special.k0(x)": bessel(m.besselk, 0, -0.5, 1),
    "special.k1(x)": bessel(m.besselk, 1, -0.5, 1),
    "special.kv(2.5, x)": bessel(m.besselk, 2.5, -0.5, 1),
    "special.kn(2, x)": bessel(m.besselk, 2, -0.5, 1),
    "special.i0e(x)": bessel(m.besseli, 0, 0.5, 1, -1),
    "special.i1e(x)": bessel(m.besseli, 1, 0.5, 1, -1),
    "special.ive(2.5, x)": bessel(m.besseli, 2.5, 0.5, 1, -1),
    "special.k0e(x)": bessel(m.besselk, 0, -0.5, 1, 1),
    "special.k1e(x)": bessel(m.besselk, 1, -0.5, 1, 1),
    "special.kve(2.5, x)": bessel(m.besselk, 2.5, -0.5, 1, 1),
    "special.airy(x)[0]": m.airyai,
    "special.airy(x)[1]": lambda x: m.airyai(x, derivative=1),
    "special.airy(x)[2]": m.airybi,
    "special.airy(x)[3]": lambda x: m.airybi(x, derivative=1),
    "special.expi(x)": m.ei,
    "special.exp1(x)": m.e1,
    "special.sici(x)[0]": m.si,
    "special.sici(x)[1]": m.ci,
    "special.fresnel(x)[0]": m.fresnels,
    "special.fresnel(x)[1]": m.fresnelc,
    "special.spence(x)": lambda x: m.polylog(2, 1 - x),
    "special.hyp0f1(1.5, x)": lambda x: m.hyp0f1(1.5, x),
    "special.hyp1f1(1.5, 2.5, x)": lambda x: m.hyp1f1(1.5, 2.5, x),
    "special.hyp2f1(1.5, 0.5, 2.5, x)": lambda x: m.hyp2f1(1.5, 0.5, 2.5, x),
}

BINARY: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "np.multiply(a, b)": (lambda a, b: a * b, PAIRS),
    "np.divide(a, b)": (lambda a, b: a / b, SIGNED),
    "np.power(a, b)": (lambda a, b: a**b, PAIRS),
    "np.hypot(a, b)": (lambda a, b: m.sqrt(a * a + b * b), SIGNED),
    "np.arctan2(a, b)": (m.atan2, SIGNED),
    "np.logaddexp(a, b)": (lambda a, b: m.log(m.exp(a) + m.exp(b)), SIGNED),
    "np.logaddexp2(a, b)": (lambda a, b: m.log(m.mpf(2) ** a + m.mpf(2) ** b) / m.log(2), SIGNED),
    "special.boxcox(a, b)": (lambda a, b: m.expm1(b * m.log(a)) / b, SIGNED),
    "special.boxcox1p(a, b)": (lambda a, b: m.expm1(b * m.log(1 + a)) / b, SIGNED),
    "special.inv_boxcox(a, b)": (lambda a, b: m.exp(m.log(1 + a * b) / b), SIGNED),
    "special.inv_boxcox1p(a, b)": (lambda a, b: m.expm1(m.log(1 + a * b) / b), SIGNED),
    "special.xlogy(a, b)": (lambda a, b: a * m.log(b), SIGNED),
    "special.xlog1py(a, b)": (lambda a, b: a * m.log(1 + b), SIGNED),
    "special.rel_entr(a, b)": (lambda a, b: a * m.log(a / b), PAIRS),
    "special.kl_div(a, b)": (lambda a, b: a * m.log(a / b) - a + b, PAIRS),
    "special.pseudo_huber(a, b)": (lambda a, b: a * a * (m.sqrt(1 + (b / a) ** 2) - 1), SIGNED),
    "special.beta(a, b)": (m.beta, PAIRS),
    "special.betaln(a, b)": (lambda a, b: m.log(m.beta(a, b)), PAIRS),
}

#: beyond which SciPy loses all digits, or underflows on the way
LIMITS = {
    "np.sinc(x)": (0, 1e7),
    "special.exprel(x)": (1e-100, 1e60),
    "special.hyp1f1(1.5, 2.5, x)": (1e-100, 1e60),
    "special.multigammaln(x, 3)": (1.1, 1e100),  # not what float32 rounds to 1
    "special.fresnel(x)[0]": (1e-100, 1e4),
    "special.fresnel(x)[1]": (1e-100, 1e4),
}

HIGH = {1: [(1,), (2,), (3,)], 2: [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3)]}


def agree(found: list[Any], before: Any) -> bool:
    return before is not None and all(
        abs(x - y) <= 1e-18 * abs(x) or abs(x) + abs(y) < 1e-320 for x, y in zip(found, before, strict=True)
    )


def derivatives(function: Any, point: Any) -> Any:
    """Those of all orders to the third, to as many digits as it takes to agree with more of them."""
    before: Any = None
    first = 50 + int(3 * max(abs(math.log10(abs(p))) for p in point if p)) if any(point) else 50
    for digits in (first, 2 * first, 4 * first):
        with m.workdps(digits):
            at = [m.mpf(p) for p in point]
            if isinstance(function, Given):
                made = function.slopes(*at)
                if any(m.im(slope) != 0 or not m.isfinite(slope) for slope in made):
                    return None
                if agree(made, before):
                    return [m.re(slope) for slope in made]
                before = made
                continue
            steps = [min(abs(p), m.mpf(1)) if p else m.mpf(1) for p in at]
            if not (m.isfinite(function(*at)) and m.im(function(*at)) == 0):
                return None

            def scaled(*t: Any, at: Any = at, steps: Any = steps) -> Any:
                return function(*(p + s * u for p, s, u in zip(at, steps, t, strict=True)))

            made = []
            for orders in HIGH[len(at)]:
                one = len(at) == 1
                slope = m.diff(scaled, 0 if one else (0,) * len(at), orders[0] if one else orders)
                made.append(m.re(slope) / m.fprod(s**k for s, k in zip(steps, orders, strict=True)))
        if agree(made, before):
            return made
        before = made
    raise ArithmeticError(f"no agreement at {point}")


def record(function: Any, point: Any) -> Any:
    """The arguments, and each derivative with what it moves by."""
    signal.alarm(SECONDS)
    try:
        found = derivatives(function, point)
    except Exception as error:  # of many kinds: there is no value, or it takes too long
        print("    none at", point, repr(error)[:90], flush=True)
        return None
    finally:
        signal.alarm(0)
    if found is None:
        return None
    known = dict(zip(HIGH[len(point)], found, strict=True))
    made: list[Any] = [*point]
    for orders in known:
        if sum(orders) < 3:
            nexts = [tuple(k + (i == j) for i, k in enumerate(orders)) for j in range(len(orders))]
            moves = sum(abs(p * known[n]) for p, n in zip(point, nexts, strict=True))
            made += [short(known[orders], 14), short(moves, 2)]
    return made if any(made[len(point) :: 2]) else None


def short(number: Any, digits: int) -> float | None:
    if abs(number) > 1e300:
        return None
    return float(m.nstr(number, digits)) if abs(number) > 1e-300 else 0.0


def stop(*_: Any) -> None:
    raise TimeoutError


def table(name: str) -> tuple[str, Any]:
    signal.signal(signal.SIGALRM, stop)
    points: Any
    if name in UNARY:
        least, most = LIMITS.get(name, (0, 1e308) if name.startswith("np.") else (1e-100, 1e100))
        function, points = UNARY[name], [(p,) for p in POINTS if p == 0 or least < abs(p) < most]
    else:
        function, points = BINARY[name]
    rows = [record(function, point) for point in points]
    print(name, sum(map(bool, rows)), "of", len(rows), flush=True)
    return name, [row for row in rows if row]


def written(tables: dict[str, Any]) -> Iterator[str]:
    """JSON with a line for each point."""
    yield "{"
    for i, (name, rows) in enumerate(tables.items()):
        yield f"{json.dumps(name)}: ["
        yield ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
        yield "]" if i == len(tables) - 1 else "],"
    yield "}\n"


if __name__ == "__main__":
    chosen = [name for name in (*UNARY, *BINARY) if not sys.argv[1:] or name in sys.argv[1:]]
    with Pool() as pool:
        made = dict(pool.imap(table, chosen, chunksize=1))
    (Path(__file__).parent / "mpmath.json").write_text("\n".join(written(made)))
