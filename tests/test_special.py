"""scipy.special where Hypothesis does not look: extreme arguments, conventions, and how its rows come in."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from domains.special import DOMAINS
from search import examples
from slopes import assert_slopes, gradients_in
from tinygrad_lr import asarray, autograd, record, tensor
from tinygrad_lr.derivatives import DERIVATIVES
from tinygrad_lr.errors import LostGradientError, NoRuleError, NothingAttachedError, name_of
from tinygrad_lr.func import elementwise_grad, hessian
from truths import central_difference, gradient

pytest.importorskip("scipy", reason="SciPy is not installed: its rows are NOT tested")

from tinygrad_lr.derivatives import special as sc

# Derivatives of first, second, ... order. The values are mpmath's (50 digits, rounded); no case may warn.
POINTS: list[tuple[Any, float, list[float]]] = [
    (sc.expit, 1000.0, [0, 0]),
    (sc.expit, -1000.0, [0, 0]),
    (sc.expit, 40.0, [4.2483542552915889953e-18, -4.2483542552915889772e-18]),
    (sc.log_expit, -1000.0, [1, 0]),
    (sc.log_expit, 1000.0, [0, 0]),
    (sc.logit, 1e-300, [1e300]),
    (sc.erf, 1e200, [0, 0, 0]),
    (sc.erfc, 26.0, [-2.94703499326626954e-294, 1.53245819649846016e-292]),
    (sc.erfinv, 0.0, [math.sqrt(math.pi) / 2, 0, math.pi**1.5 / 4]),
    (sc.ndtr, -1e10, [0, 0]),
    (sc.ndtri, 0.5, [math.sqrt(2 * math.pi), 0, (2 * math.pi) ** 1.5]),
    (sc.log_ndtr, -40.0, [40.0249688472072637, -0.999377331621408611]),
    (sc.log_ndtr, -1e4, [10000.000099999998, -0.9999999900000006]),
    (sc.log_ndtr, -1e160, [1e160, -1, 0]),
    (sc.log_ndtr, 1e10, [0, 0, 0]),
    (sc.exprel, 0.0, [1 / 2, 1 / 3, 1 / 4]),
    (sc.exprel, -1e4, [1e-8, 2e-12]),
    *((sc.exprel, x, [np.inf]) for x in (1e20, np.inf)),
    (lambda a: sc.boxcox(3.0, a), 1e20, [np.inf]),
    (lambda a: sc.boxcox1p(3.0, a), -1e20, [1e-40]),
    (sc.gammaln, 1e10, [23.025850929890456840, 1.00000000005e-10]),
    (sc.rgamma, -2.0, [2, -3.6911373403938686]),
    (sc.rgamma, 0.0, [1, 2 * np.euler_gamma]),
    (sc.rgamma, -1.0, [-1, 2 - 2 * np.euler_gamma]),
    (sc.rgamma, 1.0, [np.euler_gamma, np.euler_gamma**2 - math.pi**2 / 6]),
    (sc.rgamma, 2.0, [np.euler_gamma - 1, -0.46618747284357348337]),
    (sc.rgamma, 0.5, [1.10779190387287102, -0.609003488416110682]),
    (lambda x: sc.gammainc(1, x), 0.0, [1, -1, 1]),
    (lambda x: sc.gammainc(3, x), 0.0, [0, 0, 1]),
    (lambda x: sc.betainc(1, 1, x), 0.0, [1, 0]),
    (lambda x: sc.betainc(2, 1, x), 0.0, [0, 2, 0]),
    (lambda x: sc.betainc(1, 2, x), 1.0, [0, -2, 0]),
    (lambda x: sc.betainc(2, 1, x), 1.0, [2, 2, 0]),
    (sc.dawsn, 0.5, [0.575563616497977704, -1.4244363835020223]),
    (sc.dawsn, 6.5, [-0.0122816468189083281, 0.00392577067366852194]),
    (sc.dawsn, -20.0, [-0.00125471705614687788, -0.000125946393067771298]),
    (sc.dawsn, 1e8, [-5.00000000000000075e-17, 1.0000000000000003e-24]),
    (sc.erfcx, -26.0, [-3.98201696437509554e295, 2.0721803664613478e297]),
    (sc.erfcx, -3.0, [-97237.0615031646153, 615834.346726986865]),
    (sc.erfcx, 1.5, [-0.163622917732560067, 0.152302079710954804]),
    (sc.erfcx, 30.0, [-0.000625835410507484069, 0.0000416530923844588759]),
    (sc.erfcx, 1e8, [-5.64189583547756202e-17, 1.12837916709551224e-24]),
    (sc.j1, 0.0, [1 / 2, 0, -3 / 8]),
    (lambda x: sc.jv(1, x), 0.0, [1 / 2]),
    (lambda x: sc.jv(2, x), 0.0, [0, 1 / 4]),
    (lambda x: sc.iv(2, x), 0.0, [0, 1 / 4]),
    (sc.i1, 0.0, [1 / 2, 0, 3 / 8]),
    (sc.i0e, 0.0, [0]),
    (sc.i0e, 15.0, [-0.00352535640365606614, 0.000359101137634355259]),
    (sc.i0e, -1e6, [1.99471215002464041e-10, 2.9920689730551389e-16]),
    (sc.i1e, 0.0, [1 / 2]),
    (sc.i1e, -15.0, [-0.00316625526602171088, -0.000298089991412277268]),
    (sc.i1e, 1e6, [-1.99470915795566735e-10, 2.99206149288083622e-16]),
    (sc.i1e, -1e20, [-1.99471140200716339e-31, -2.99206710301074508e-51]),
    (lambda x: sc.ive(2.5, x), 1e6, [-1.994693449634466e-10, 2.99202222210892227e-16]),
    (sc.k0e, 15.0, [-0.0105325414608528362, 0.00103724340940293294]),
    (sc.k0e, 1e6, [-6.26656833661569688e-10, 9.39985015496394402e-16]),
    (sc.k1e, 15.0, [-0.0115697848702557691, 0.00120756400402135869]),
    (sc.k1e, 1e6, [-6.26657773646585184e-10, 9.39987365458345654e-16]),
    (lambda x: sc.kve(2.5, x), 1e6, [-6.26662708580767901e-10, 9.39999702803569484e-16]),
    (lambda x: sc.airy(x)[0], 1000.0, [0]),  # beside Bi, which has overflowed
    (lambda x: sc.airy(x)[1], 1000.0, [0]),
    (lambda x: sc.airy(x)[2], 1000.0, [np.nan]),
    (lambda x: sc.airy(x)[3], 1000.0, [np.nan]),
    (sc.spence, 1.0, [-1, 1 / 2]),
    (sc.spence, 1 + 1e-6, [-0.999999500000333333, 0.499999333334083333]),
    (sc.spence, 1e-10, [-23.0258509322430421, 9.99999997797415e9]),
    (sc.spence, 1e15, [-3.45387763949107196e-14, 3.353877639491073e-29]),
    (lambda x: sc.sici(x)[0], 0.0, [1, 0, -1 / 3]),
    (lambda a: sc.boxcox(3.0, a), 0.0, [math.log(3) ** 2 / 2, math.log(3) ** 3 / 3]),
    (lambda a: sc.boxcox(0.0, a), 0.5, [4, -16]),
    (lambda a: sc.boxcox1p(-1.0, a), 0.5, [4, -16]),
    (lambda x: sc.boxcox1p(x, 0.0), 1e-10, [1 - 1e-10]),
    # at the end of the domain, where y = 0
    (lambda a: sc.inv_boxcox(-2.0, a), 0.5, [0]),
    (lambda a: sc.inv_boxcox(-1.0, a), 1.0, [-1]),
    (lambda a: sc.inv_boxcox1p(-2.0, a), 0.5, [0]),
    (lambda a: sc.inv_boxcox1p(-1.0, a), 1.0, [-1]),
    (lambda x: sc.inv_boxcox(x, 0.5), -2.0, [0]),
    (lambda x: sc.inv_boxcox(x, 1.0), -1.0, [1]),
    (lambda x: sc.boxcox(x, 1.0), 0.0, [1]),
    (lambda x: sc.boxcox(x, 2.0), 0.0, [0, 1]),
    (lambda x: sc.boxcox1p(x, 1.0), -1.0, [1]),
    (lambda x: sc.inv_boxcox1p(x, 0.5), -2.0, [0]),
    (lambda a: sc.inv_boxcox(0.004, a), 0.5, [-8.0106613375957385372e-6]),
    (lambda a: sc.inv_boxcox(-0.02, a), 0.3, [-0.00019760680245493272023]),
    (lambda a: sc.inv_boxcox1p(0.03, a), -0.4, [-0.0004713107844180518176]),
    (lambda a: sc.inv_boxcox(2.0, a), 0.0, [-2 * math.exp(2), 28 / 3 * math.exp(2)]),
    (lambda r: sc.pseudo_huber(1.0, r), 1e200, [1, 0]),
    (lambda d: sc.pseudo_huber(d, 1e-3), 1e3, [2.4999999999975e-22]),
    (lambda r: sc.pseudo_huber(0.0, r), 0.0, [0, 0]),
    (lambda r: sc.pseudo_huber(0.0, r), 2.0, [0]),
    (lambda d: sc.pseudo_huber(d, 0.0), 0.0, [0, 0]),
    (lambda d: sc.pseudo_huber(d, 2.0), 0.0, [2]),
    (lambda r: sc.huber(1.0, r), -1.0, [-1]),
    (lambda d: sc.huber(d, -2.0), 0.0, [2, -1]),
    (lambda d: sc.huber(d, 2.0), np.inf, [0]),
    (lambda r: sc.huber(np.inf, r), 2.0, [2, 1]),
    # x log y is 0 at x = 0, whatever y is
    (lambda x: sc.xlogy(x, 0.0), 0.0, [0, 0]),
    (lambda y: sc.xlogy(0.0, y), 0.0, [0, 0]),
    (lambda x: sc.xlogy(x, 0.0), 2.0, [-np.inf]),
    (lambda x: sc.xlogy(x, 2.0), 0.0, [math.log(2), 0]),
    (lambda x: sc.xlog1py(x, -1.0), 0.0, [0, 0]),
    (lambda y: sc.xlog1py(0.0, y), -1.0, [0, 0]),
    (lambda x: sc.xlogy(x, -2.0), 0.0, [0, 0]),
    (lambda x: sc.xlogy(x, -np.inf), 0.0, [0, 0]),
    (lambda y: sc.xlogy(0.0, y), -2.0, [0, 0]),
    (lambda y: sc.xlogy(0.0, y), -np.inf, [0]),
    (lambda x: sc.xlog1py(x, -3.0), 0.0, [0, 0]),
    (lambda y: sc.xlog1py(0.0, y), -3.0, [0, 0]),
    (lambda x: sc.xlog1py(x, -np.inf), 0.0, [0, 0]),
    (lambda y: sc.xlog1py(0.0, y), -np.inf, [0]),
    (lambda x: sc.xlog1py(x, 1e-20), 0.0, [1e-20, 0]),
    (lambda x: sc.xlog1py(x, -0.5), 0.0, [math.log(0.5), 0]),
    (lambda x: sc.rel_entr(x, 0.0), 0.0, [0, 0]),
    (lambda y: sc.rel_entr(0.0, y), 0.0, [0, 0]),
    (lambda x: sc.rel_entr(x, 1e-300), 1e300, [601 * math.log(10) - math.log(10) + 1]),
    (lambda x: sc.kl_div(x, 0.0), 0.0, [0, 0]),
    (lambda y: sc.kl_div(0.0, y), 0.0, [1, 0]),
]


@pytest.mark.parametrize(("function", "point", "expected"), POINTS)
def test_derivatives_at_a_point(function: Any, point: float, expected: list[float]) -> None:
    got = [gradient(function, point, order=order) for order in range(1, len(expected) + 1)]
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-300)


# At parameters where Γ, exponentials, factorials or powers by themselves overflow or underflow; by mpmath.
LARGE: list[tuple[Any, float, float]] = [
    (lambda x: sc.gammainc(200, x), 190.0, 0.022916927120254197),
    (lambda x: sc.gammainc(1e-300, x), 0.5, 1.2130613194252668e-300),
    (lambda x: sc.gammaincc(1e5, x), 1e5, -0.0012615652097053006),
    (lambda p: sc.gammaincinv(200, p), 0.5, 35.414602776690746),
    (lambda p: sc.gammainccinv(200, p), 0.25, -45.883322674389182),
    (lambda x: sc.betainc(700, 900, x), 0.4375, 32.162549706485511),
    (lambda x: sc.betaincc(700, 900, x), 0.45, -19.281542897920459),
    (lambda p: sc.betaincinv(700, 900, p), 0.5, 0.031091719445457927),
    (lambda p: sc.betainccinv(700, 900, p), 0.25, -0.039135441588744998),
    (sc.gamma, 171.0, 3.7293948187436453e307),
    (sc.rgamma, -150.5, 1.120317138255446e264),
    (sc.gammaln, 1e300, 690.77552789821371),
    (lambda x: sc.multigammaln(x, 3), 1e5, 34.538746394748184),
    (lambda x: sc.beta(x, 300), 200.0, -1.5130260258348311e-147),
    (lambda x: sc.beta(200, x), 300.0, -8.4322116309897342e-148),
    (lambda x: sc.betaln(x, 3e4), 2e4, -0.91630573204915507),
    (lambda b: sc.betaln(2.0, b), 2000.0, -0.00099975012493753123),
    (lambda a: sc.betaln(a, 2.0), 2000.0, -0.00099975012493753123),
    (lambda x: sc.polygamma(100, x), 50.0, 5.5158729510327674e-14),
    (lambda x: sc.polygamma(168, x), 1.0, 4.2690680090047053e304),
    (lambda a: sc.hurwitz_zeta(200, a), 1.5, -8.066533197591665e-34),
    (lambda x: sc.jv(200, x), 100.0, 3.5704636929872582e-41),
    (lambda x: sc.jv(-200.5, x), 100.0, -2.9901518347066909e38),
    (lambda x: sc.yv(200, x), 100.0, 1.5441244952799325e38),
    (lambda x: sc.yn(200, x), 100.0, 1.5441244952799325e38),
    (sc.y1, 1e-150, 6.3661977236758134e299),
    (sc.i0, 709.5, 2.0283321373980743e306),
    (sc.i1, 709.5, 2.0269042409953425e306),
    (lambda x: sc.iv(2, x), 709.5, 2.02262658300226e306),
    (lambda x: sc.iv(1, x), 713.9, 1.6458481402601703982e308),
    (lambda x: sc.iv(200, x), 50.0, 4.4310506843024558e-94),
    (sc.k0, 700.0, -4.6731107967079661e-306),
    (sc.k1, 700.0, -4.6764523042521025e-306),
    (lambda x: sc.kv(200, x), 50.0, -9.3050350335199776e91),
    (lambda x: sc.kn(200, x), 50.0, -9.3050350335199776e91),
    (lambda x: sc.ive(200, x), 50.0, 6.4732902565579323e-116),
    (lambda x: sc.kve(200, x), 50.0, -3.6544686875561873e113),
    (lambda x: sc.hyp0f1(300, x), 50.0, 0.0039355085450406984),
    (lambda x: sc.hyp1f1(200, 300, x), 50.0, 510558890984672.36),
    (lambda x: sc.hyp2f1(30, 40, 50, x), 0.3, 154738.72887625887),
    (sc.exprel, 708.0, 4.2642836569216439e304),
    (sc.expi, 715.0, 4.6371219673382019e307),
    (sc.exp1, 700.0, -1.4085252205371101e-307),
    (sc.erfi, 26.0, 4.3204086400209343e293),
    (sc.erfcx, -26.55, -1.4500752717571870641e308),
    (sc.erfcinv, 1e-300, -1.9063218669084349e298),
    (sc.ndtri, 1e-300, 2.697304465042612e298),
    (sc.ndtri_exp, -1e4, 0.0070727904277925762),
    (lambda x: sc.boxcox(x, 200), 30.0, 8.8537996291958256e293),
    (lambda x: sc.inv_boxcox(x, 0.004), 200.0, 3.6547171461130421e63),
    (lambda a: sc.inv_boxcox(1e200, a), 1.0, -4.5951701859880912e202),
    (lambda x: sc.inv_boxcox1p(x, 0.05), -19.0, 1.9073486328124681e-25),
    (lambda a: sc.inv_boxcox1p(-19.0, a), 0.05, -6.1051436334403011e-23),
    (lambda a: sc.boxcox(1e-37, a), 0.01, 2099.9329403983276),
]


@pytest.mark.parametrize(("function", "point", "expected"), LARGE)
def test_slopes_at_large_parameters(function: Any, point: float, expected: float) -> None:
    """Also in float32, as far as the number is one."""
    assert gradient(function, point) == pytest.approx(expected, rel=1e-10, abs=0)
    if 1e-36 < abs(expected) < 1e38 and abs(point) < 1e38:
        (found,) = gradients_in(np.float32, function, [point], 1)
        assert found == pytest.approx(expected, rel=2e-2, abs=0)


@pytest.mark.parametrize(
    "function",
    [
        *(sc.dawsn, sc.erfcx, sc.i0e, sc.i1e, sc.k0e, sc.k1e, sc.erf, sc.erfc, sc.ndtr, sc.log_ndtr),
        *(lambda x: sc.erf(-x), lambda x: sc.erfc(-x), lambda x: sc.ndtr(-x), np.tanh, np.arctan),
        *(lambda x: sc.gammainc(2.5, x), lambda x: sc.gammaincc(0.5, x), lambda x: sc.gammainc(1, x)),
        *(sc.expit, sc.log_expit, lambda x: sc.expit(-x), lambda x: np.exp(-x)),
    ],
)
@pytest.mark.parametrize("x", [np.inf, 1e308])
def test_no_warning_where_the_derivatives_vanish(function: Any, x: float) -> None:
    slope = elementwise_grad(function)
    assert slope(np.float64(x)) == elementwise_grad(slope)(np.float64(x)) == 0


@pytest.mark.parametrize(
    "function",
    [
        *(sc.dawsn, sc.erfcx, sc.i0e, sc.i1e, sc.k0e, sc.k1e),
        *(lambda x: sc.log_ndtr(-x), lambda x: sc.ive(2, x), lambda x: sc.kve(2.5, x)),
    ],
)
def test_float32_has_its_digits_far_out(function: Any) -> None:
    """Where the plain formulas subtract nearly equal numbers: to a few units in the last place."""
    points = np.float32([0.5, 1.75, 2.5, 6.5, 8, 15, 25, 40, 1e3, 1e6])
    for order in (1, 2):
        got = slopes_in(np.float32, function, points, order)
        np.testing.assert_allclose(got, slopes_in(np.float64, function, points, order), rtol=4e-7)


def slopes_in(dtype: Any, function: Any, points: Any, order: int) -> Any:
    x = tensor(points, dtype)
    x.attach_grad()
    with record():
        y = function(x)
        for _ in range(order - 1):
            y = autograd.grad(y, x, create_graph=True)
    found = autograd.grad(y, x).array
    assert found.dtype == dtype
    return found


NEAR = [s * 2.0**-k for k in (1, 2, 3, 5, 8, 11, 15, 20) for s in (1.0625, 1, 0.9375, -0.9375, -1, -1.0625)]


@pytest.mark.parametrize(
    ("function", "orders"),
    [
        (lambda t: sc.spence(1 + t), 2),
        *(
            (lambda t, a=a, f=f: f(a, t / a), 1)
            for f in (sc.inv_boxcox, sc.inv_boxcox1p)
            for a in (1, -2, 0.5)
        ),
        *((lambda t, a=a: sc.boxcox(a, t), 2) for a in (0.5, 3.0)),
        *((lambda t, a=a: sc.boxcox1p(a, t), 2) for a in (-0.5, 2.0, 2.0**-10)),
        *((f, 2) for f in (sc.exprel, sc.rgamma, np.sinc, sc.erfcx, sc.dawsn, sc.erfinv, sc.cosm1)),
        *((lambda t, n=n: sc.rgamma(t + n), 2) for n in (-2, -1, 0.5, 1)),
        *((lambda t, r=r: sc.pseudo_huber(1.0, r * t), 2) for r in (1, 16)),
        (lambda t: sc.log_ndtr(4 * t), 2),
    ],
)
def test_float32_has_its_digits_close_to_a_point(function: Any, orders: int) -> None:
    """At which a formula gives way to a limit or a series, none loses more than a few."""
    for order in range(1, orders + 1):
        got, expected = (slopes_in(dtype, function, NEAR, order) for dtype in (np.float32, np.float64))
        atol = (1e-7 if order == 1 else 1e-6) * np.max(np.abs(expected))
        np.testing.assert_allclose(got, expected, rtol=3e-6, atol=atol)


@pytest.mark.parametrize(
    ("function", "point", "expected"),
    [
        *((sc.entr, 0.0, np.inf), (sc.logit, 0.0, np.inf), (sc.cbrt, 0.0, np.inf)),
        *((lambda y, x=x: sc.xlogy(x, y), 0.0, np.inf * x) for x in (2.0, -2.0)),
        *((lambda y, x=x: sc.xlog1py(x, y), -1.0, np.inf * x) for x in (2.0, -2.0)),
        (lambda y: sc.rel_entr(2.0, y), 0.0, -np.inf),
        *((lambda x, f=f: f(x, 2.0), -0.5, np.inf) for f in (sc.inv_boxcox, sc.inv_boxcox1p)),
        *((lambda a, f=f: f(-0.5, a), 2.0, -np.inf) for f in (sc.inv_boxcox, sc.inv_boxcox1p)),
        *((lambda x, a=a: sc.boxcox(x, a), 0.0, np.inf) for a in (0.5, 0.0, -1.0)),
        *((lambda x, a=a: sc.boxcox1p(x, a), -1.0, np.inf) for a in (0.5, 0.0, -1.0)),
        *((f, 0.0, s * np.inf) for f, s in ((sc.expi, 1), (sc.exp1, -1))),
        *((sc.logit, 1.0, np.inf), (sc.ndtri_exp, 0.0, np.inf), (sc.log1p, -1.0, np.inf)),
        *((lambda p: sc.gammaincinv(2.0, p), p0, np.inf) for p0 in (0.0, 1.0)),
        *((lambda p: sc.gammainccinv(2.0, p), p0, -np.inf) for p0 in (0.0, 1.0)),
        *((lambda p: sc.betaincinv(2.0, 3.0, p), p0, np.inf) for p0 in (0.0, 1.0)),
        *((lambda p: sc.betainccinv(2.0, 3.0, p), p0, -np.inf) for p0 in (0.0, 1.0)),
        *((sc.spence, 0.0, -np.inf), (lambda y: sc.kl_div(2.0, y), 0.0, -np.inf)),
    ],
)
def test_what_is_infinite_and_numpy_says_so(function: Any, point: float, expected: float) -> None:
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert gradient(function, point) == expected


@pytest.mark.parametrize(
    ("function", "point", "expected"),
    [
        *(
            (f, p, np.inf)
            for f, p in ((sc.erfinv, -1), (sc.erfinv, 1), (sc.ndtri, 0), (sc.ndtri, 1), (sc.psi, 0))
        ),
        *((f, p, -np.inf) for f, p in ((sc.erfcinv, 0), (sc.erfcinv, 2), (sc.gamma, 0))),
        *((f, 0, -np.inf) for f in (sc.gammaln, sc.loggamma, sc.k0, sc.k1, lambda x: sc.kv(2, x))),
        *((lambda x, f=f: f(x, 2.0), 0, -np.inf) for f in (sc.beta, sc.betaln)),
        *((lambda x, f=f: f(2.0, x), 0, -np.inf) for f in (sc.beta, sc.betaln, sc.hurwitz_zeta)),
        *((sc.y0, 0, np.inf), (lambda x: sc.kn(0, x), 0, -np.inf), (lambda x: sc.yn(0, x), 0, np.inf)),
        *((lambda x: sc.yv(0, x), 0, np.inf), (lambda x: sc.kv(0.5, x), 0, -np.inf)),
        *((lambda x, f=f: f(0.5, x), 0, np.inf) for f in (sc.jv, sc.iv, sc.gammainc)),
        *((lambda x: sc.betainc(0.5, 0.5, x), p, np.inf) for p in (0, 1)),
        *((lambda p: sc.gammaincinv(0.5, p), 0, 0), (lambda p: sc.gammainccinv(0.5, p), 1, 0)),
        *((lambda p: sc.betaincinv(0.5, 0.5, p), p0, 0) for p0 in (0, 1)),
        *((lambda x: sc.rel_entr(x, 2.0), 0, -np.inf), (lambda x: sc.kl_div(x, 2.0), 0, -np.inf)),
        *((f, np.inf, 0) for f in (sc.psi, sc.exp1, sc.rgamma)),
    ],
)
def test_slopes_at_the_ends_of_a_domain(function: Any, point: float, expected: float) -> None:
    """Where SciPy's own functions are infinite they do not warn."""
    assert gradient(function, point) == expected


def test_of_several_results_those_that_have_overflowed_count_where_they_are_asked_for() -> None:
    """Bi at 1000 is infinite, and so is its slope; at 1 it has one."""
    ai, ai1, bi, bi1 = sc.airy(1.0)
    for part, expected in enumerate([ai1, ai, bi1, bi]):
        got = gradient(lambda x, k=part: sc.airy(x)[k][0], [1.0, 1000.0])
        np.testing.assert_array_equal(got, [expected, 0])


@pytest.mark.parametrize("largest", [np.uint8(255), np.int8(127), np.array([255], np.uint8)], ids=repr)
def test_one_more_than_the_largest_whole_number_beside_zero(largest: Any) -> None:
    """Is no 0, whose logarithm would not count beside 0."""
    for x in (0.0, 0.5):
        np.testing.assert_allclose(
            gradient(lambda x: sc.xlog1py(x, largest), [x]), np.log1p(np.float64(largest))
        )


def test_mixed_derivative_of_xlogy_at_zero() -> None:
    """The convention must not reach beyond x = y = 0: d²/dxdy x log y is 1/y also at x = 0."""
    x, y = tensor([0.0, 1.0, 0.0]), tensor([2.0, 4.0, 0.0])
    for z in (x, y):
        z.attach_grad()
    with record():
        by_x = autograd.grad(sc.xlogy(x, y), x, create_graph=True)
        by_y = autograd.grad(sc.xlogy(x, y), y, create_graph=True)
    np.testing.assert_array_equal(autograd.grad(by_x, y).array, [0.5, 0.25, 0])
    np.testing.assert_array_equal(autograd.grad(by_y, x).array, [0.5, 0.25, 0])


def test_entropy_and_divergence_of_distributions_with_zeros() -> None:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.75, 0.0])
    np.testing.assert_allclose(gradient(sc.rel_entr, p, q)[:2], np.log(p[:2] / q[:2]) + 1)
    got = gradient(lambda q, p: sc.rel_entr(p, q), q, p)
    np.testing.assert_array_equal(got, [-2, -2 / 3, 0])


# ---- sums of exponentials ---------------------------------------------------------------------------------


def test_softmax_does_not_overflow() -> None:
    head = [1.0, 2.0]
    np.testing.assert_array_equal(gradient(sc.softmax, [1000.0, -1000.0], head=head), [0, 0])
    np.testing.assert_array_equal(gradient(sc.log_softmax, [1000.0, -1000.0], head=head), [-2, 2])
    np.testing.assert_array_equal(gradient(sc.logsumexp, [1000.0, -1000.0]), [1, 0])
    np.testing.assert_allclose(gradient(sc.logsumexp, [-1000.0, -1000.0]), [0.5, 0.5], rtol=1e-12)
    np.testing.assert_array_equal(gradient(sc.logsumexp, [np.inf, 1.0]), [1, 0])
    np.testing.assert_array_equal(gradient(sc.logsumexp, [np.inf, 1.0, np.inf, -np.inf]), [0.5, 0, 0.5, 0])
    weighted = gradient(lambda x: sc.logsumexp(x, b=[2.0, 1.0, 6.0]), [np.inf, 1.0, np.inf])
    np.testing.assert_array_equal(weighted, [0.25, 0, 0.75])


@given(hnp.arrays(float, 3, elements=st.floats(-5, 5)), st.floats(-1e300, 1e300) | st.floats(-1e9, 1e9))
def test_logsumexp_grows_by_what_all_its_terms_grow_by(a: Any, shift: float) -> None:
    """However large they are: so its slopes come of their differences only, and are their softmax."""
    a, b = a + shift, np.array([2.0, 0.0, 1.0])
    terms = np.exp(a - np.max(a))
    np.testing.assert_allclose(gradient(sc.logsumexp, a), terms / np.sum(terms), rtol=1e-13)
    terms = np.exp(a - np.max(a[b > 0])) * b
    np.testing.assert_allclose(gradient(lambda x: sc.logsumexp(x, b=b), a), terms / np.sum(terms), rtol=1e-13)


def curvature(function: Any, point: Any) -> Any:
    """The derivative of the sum of the gradient."""
    x = tensor(point)
    x.attach_grad()
    with record():
        slope = autograd.grad(function(x), x, create_graph=True)
    return autograd.grad(slope, x).array


def test_masks_of_minus_infinity() -> None:
    """What a mask has set to -inf gets no gradient; where it has masked all, nothing gets one."""
    masked = [0.0, -np.inf, 0.0]
    head = [1.0, 1.0, 3.0]
    np.testing.assert_array_equal(gradient(sc.softmax, masked, head=head), [-0.5, 0, 0.5])
    np.testing.assert_array_equal(gradient(sc.log_softmax, masked, head=head), [-1.5, 1, 0.5])
    np.testing.assert_array_equal(gradient(sc.logsumexp, masked), [0.5, 0, 0.5])
    np.testing.assert_array_equal(curvature(sc.logsumexp, masked), [0, 0, 0])
    np.testing.assert_array_equal(gradient(sc.logsumexp, [-np.inf, -np.inf]), [0, 0])


@pytest.mark.parametrize("anything", [1e20, 100.0, 1.0, -1e20, np.inf, -np.inf, np.nan])
def test_masks_of_zero_weights(anything: float) -> None:
    """SciPy's way to mask: where b = 0, whatever `a` is adds nothing."""
    b = np.array([1.0, 0.0, 1.0])

    def of_a(a: Any) -> Any:
        return sc.logsumexp(a, b=b.astype(a.dtype))

    for dtype in (np.float64, np.float32):
        a = np.array([0.0, anything, 0.0], dtype)
        x = asarray(a)
        x.attach_grad()
        with record():
            y = of_a(x)
        y.backward()
        np.testing.assert_allclose(x.grad.array, [0.5, 0, 0.5], rtol=1e-6)
        np.testing.assert_array_equal(curvature(of_a, a), [0, 0, 0])
    with np.errstate(over="ignore"):
        by_weight = gradient(lambda w: sc.logsumexp(np.array([0.0, anything, 0.0]), b=w), b)
        np.testing.assert_allclose(by_weight[1], np.exp(anything) / 2)


@pytest.mark.parametrize("weights", [[1.0, -2.0, 0.5], [1.0, 2.0, 0.0], [-3.0, 0.0, 0.0]])
def test_weights_of_either_sign(weights: list[float]) -> None:
    """log|Σ b exp(a)|: the derivative by b does not stop where b is 0."""
    a, b = np.array([0.3, -0.4, 1.1]), np.array(weights)
    total = np.sum(b * np.exp(a))

    def first(a: Any, b: Any) -> Any:
        value, sign = sc.logsumexp(a, b=b, return_sign=True)
        assert sign.array == np.sign(total)
        return value

    np.testing.assert_allclose(gradient(first, a, b), b * np.exp(a) / total)
    np.testing.assert_allclose(gradient(lambda b, a: first(a, b), b, a), np.exp(a) / total)


@pytest.mark.parametrize("weight", [1.0, -1.0])
def test_large_equal_terms_share_whatever_their_sign(weight: float) -> None:
    def value(a: Any) -> Any:
        return sc.logsumexp(a, b=[weight, weight], return_sign=True)[0]

    np.testing.assert_allclose(gradient(value, [1e16, 1e16]), [0.5, 0.5])


def test_mixed_derivative_of_logsumexp_at_zero_weights() -> None:
    for a1 in (1.0, 85.0, 700.0):
        a, b = tensor([0.0, a1]), tensor([1.0, 0.0])
        for z in (a, b):
            z.attach_grad()
        with record():
            slope = autograd.grad(sc.logsumexp(a, b=b), a, create_graph=True)
        expected = np.exp(a1)  # of b₁ exp(a₁) / Σ b exp(a) by b₁
        np.testing.assert_allclose(autograd.grad(slope, b, np.array([0.0, 1.0])).array[1], expected)


@pytest.mark.parametrize(
    "weights", [[1, 0, 2], [True, False, True], np.array([3, 0, 1], np.uint8), [1.0, 0.0, 2.0]], ids=str
)
def test_weights_of_any_kind(weights: Any) -> None:
    a, b = np.array([[0.3, 9.0, 1.1], [0.7, -1.0, 0.2]]), np.asarray(weights)
    for function, of_rows in ((sc.logsumexp, {"axis": 1}), (sc.logsumexp, {})):
        got = gradient(lambda a, f=function, o=of_rows: f(a, b=weights, **o), a)
        terms = b * np.exp(a)
        np.testing.assert_allclose(got, terms / np.sum(terms, keepdims=True, **of_rows), rtol=1e-13)
        for kind in (np.asarray, tensor):
            again = gradient(lambda a, f=function, o=of_rows, k=kind: f(a, b=k(weights), **o), a)
            np.testing.assert_array_equal(again, got)


def test_weights_that_are_all_zero_have_an_infinite_slope() -> None:
    """log Σ b exp(a) is -inf there, and does not move with a."""
    a, b = tensor([[0.5, -np.inf], [700.0, 1.0]]), tensor(np.zeros((2, 2)))
    for z in (a, b):
        z.attach_grad()
    with record():
        y = sc.logsumexp(a, b=b, axis=0)
    y.backward()
    np.testing.assert_array_equal(a.grad.array, 0)
    np.testing.assert_array_equal(b.grad.array, [[np.inf, 0], [np.inf, np.inf]])


def test_the_sign_of_a_sum_is_constant() -> None:
    a = tensor([1.0, 2.0])
    a.attach_grad()
    with record():
        _, sign = sc.logsumexp(a, b=[1.0, -1.0], return_sign=True)
    np.testing.assert_array_equal(autograd.grad(sign, a).array, [0, 0])


def test_cross_entropy() -> None:
    """The derivative of the mean of -log softmax at the labels is softmax minus one-hot."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 3)), rng.integers(0, 3, 5)
    got = gradient(lambda x: -np.mean(sc.log_softmax(x, axis=1)[np.arange(5), labels]), logits)
    np.testing.assert_allclose(got, (sc.softmax(logits, axis=1) - np.eye(3)[labels]) / 5)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_the_error_of_scipys_own_names_ours(name: str) -> None:
    x = tensor([1.0, 2.0])
    x.attach_grad()
    with (
        record(),
        pytest.raises(LostGradientError, match=rf"scipy\.special\.{name}.*tinygrad_lr\.special\.{name}"),
    ):
        getattr(sc.sc, name)(x)


# ---- all rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("function", DOMAINS, ids=name_of)
@examples(3)
@given(st.data())
def test_every_precision_is_kept(function: Any, dtype: Any, data: st.DataObject) -> None:
    """What a rule computes has the dtype of the value or of the argument. Nothing overflows on the way."""
    arguments, options = data.draw(DOMAINS[function].calls)
    if dtype not in DOMAINS[function].floats:
        return
    narrow = [a.astype(dtype) if getattr(a, "dtype", None) == np.float64 else a for a in arguments]
    y = function(*narrow, **options)
    parts = y if isinstance(y, tuple) else (y,)
    g = tuple(np.ones_like(part) for part in parts) if isinstance(y, tuple) else np.ones_like(y)
    for a, rule in zip(narrow, DERIVATIVES[function].rules, strict=False):
        if callable(rule) and isinstance(a, np.ndarray) and a.dtype == dtype:
            assert rule(g, y, *narrow, **options).dtype in (dtype, parts[0].dtype)


THIRD = [
    (sc.expit, 0.3),
    (sc.log_ndtr, -3.0),
    (sc.erfinv, 0.6),
    (sc.gamma, 1.7),
    (sc.rgamma, -1.3),
    (sc.kve, 0.9),
    (sc.jv, 1.3),
    (sc.gammaincinv, 0.4),
    (sc.beta_density, 0.4),
]


@pytest.mark.parametrize(("function", "point"), THIRD)
def test_third_order(function: Any, point: float) -> None:
    parameters = {sc.kve: (1.5,), sc.jv: (2,), sc.gammaincinv: (2.5,), sc.beta_density: (2.5, 3, 1.5, 2)}

    def of_x(x: Any) -> Any:
        return function(*parameters.get(function, ()), x)

    truth = central_difference(lambda step: gradient(of_x, point + step / 4, order=2))
    assert gradient(of_x, point, order=3) == pytest.approx(4 * truth.value, rel=1e-7)


@pytest.mark.parametrize(
    "function",
    [
        *(sc.jv, sc.yv, sc.yn, sc.iv, sc.kv, sc.kn, sc.ive, sc.kve, sc.polygamma, sc.hurwitz_zeta, sc.hyp0f1),
        *(sc.gammainc, sc.gammaincc, lambda a, x: sc.gammaincinv(a, x / 4)),
        *(lambda a, x: sc.gamma_density(a, 2.0, x), lambda a, x: sc.beta_density(2.0, a, 1.0, 1.0, x / 4)),
        lambda v, x: sc.scaled_bessel(v, x, True, 1),
    ],
    ids=name_of,
)
def test_no_derivative_in_an_order_is_an_error(function: Any) -> None:
    order = tensor(2.0)
    order.attach_grad()
    with record(), pytest.raises(NoRuleError, match=r"special\..*argument [01].*detach"):
        function(order, np.array(1.5))


def test_whole_numbers_are_constants() -> None:
    x = tensor(-1.5)
    x.attach_grad()
    with record():
        y = sc.gammasgn(x) * sc.round(x)
    with pytest.raises(NothingAttachedError):
        y.backward()


def test_other_names_are_those_of_scipy() -> None:
    assert sc.erf is sc.sc.erf
    with pytest.raises(AttributeError, match="no_such_function"):
        _ = sc.no_such_function


# ---- how the rows come in ---------------------------------------------------------------------------------


def run(script: str) -> None:
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_function_of_scipy_brings_its_rows_along_and_a_row_of_the_users_own_stays() -> None:
    run(
        "import sys, tinygrad_lr as tl\n"
        "from tinygrad_lr.derivatives import DERIVATIVES\n"
        "assert 'scipy' not in sys.modules\n"
        "import scipy.special as sc\n"
        "tl.derivative(sc.erfc, lambda g, y, x: g)\n"
        "own = DERIVATIVES[sc.erfc].rules\n"
        "assert 'tinygrad_lr.derivatives.special' not in sys.modules\n"
        "x = tl.tensor(0.0)\n"
        "x.attach_grad()\n"
        "with tl.record():\n"
        "    y = sc.erf(x)\n"
        "y.backward()\n"
        "assert abs(x.grad.item() - 1.1283791670955126) < 1e-15\n"
        "assert DERIVATIVES[sc.erfc].rules is own and sc.erfinv in DERIVATIVES\n"
        "assert tl.special.erf is sc.erf and tl.special.softmax is not sc.softmax\n"
    )


def test_the_error_of_scipys_own_names_ours_also_at_first() -> None:
    run(
        "import scipy.special as sc, tinygrad_lr as tl\n"
        "x = tl.tensor([1.0, 2.0])\n"
        "x.attach_grad()\n"
        "try:\n"
        "    with tl.record():\n"
        "        sc.softmax(x)\n"
        "except tl.errors.LostGradientError as error:\n"
        "    assert 'Call tinygrad_lr.special.softmax' in str(error)\n"
        "else:\n"
        "    raise AssertionError('no error')\n"
    )


def test_without_scipy() -> None:
    """Nothing changes, and the one name that needs SciPy says so."""
    run(
        "import sys\n"
        "sys.modules['scipy'] = None\n"
        "import numpy as np, tinygrad_lr as tl\n"
        "x = tl.tensor(0.0)\n"
        "x.attach_grad()\n"
        "with tl.record():\n"
        "    np.exp(x).backward()\n"
        "try:\n"
        "    tl.special\n"
        "except ModuleNotFoundError as error:\n"
        "    assert str(error) == 'tinygrad_lr.special needs SciPy: pip install scipy'\n"
        "else:\n"
        "    raise AssertionError('no error')\n"
    )


def test_slopes_of_the_cosine_integral_change_with_a_head_of_zero() -> None:
    """Only at 0 itself, where its slope is infinite, is the slope of a result that was not asked for 0."""
    x, head = tensor([2.0, 0.0, 3.0]), tensor([0.0, 0.0, 0.0])
    x.attach_grad()
    head.attach_grad()
    with record():
        gradient_of_x = autograd.grad(sc.sc.sici(x)[1], x, head, create_graph=True)
    np.testing.assert_allclose(autograd.grad(gradient_of_x, head).array, [np.cos(2) / 2, 0, np.cos(3) / 3])
    with np.errstate(divide="ignore"):
        assert gradient(lambda x: sc.sc.sici(x)[1], 0.0) == np.inf
        assert gradient(lambda x: -sc.sc.sici(x)[1], 0.0) == -np.inf


@pytest.mark.parametrize("v", [0.0, -0.5, -2.5, 3.5, 15.0, 40.0, 100.0])
def test_slopes_of_scaled_bessel_functions_of_any_order(v: float) -> None:
    """On both sides of where the expansion for large arguments begins, which is later for higher orders."""
    x = np.array([10.0, 25.0, 60.0, 150.0, 250.0])
    for function, sign in ((sc.ive, 1), (sc.kve, -1)):
        expected = sign * ((function(v - 1, x) + function(v + 1, x)) / 2 - function(v, x))
        np.testing.assert_allclose(gradient(lambda x, f=function: f(v, x), x), expected, rtol=1e-11)


@pytest.mark.parametrize("n", [1, 2])
def test_repeated_integrals_agree_with_their_recurrence(n: int) -> None:
    """iⁿ⁻¹erfc = 2x iⁿerfc + 2(n + 1) iⁿ⁺¹erfc, in which nothing cancels where x > 0 (DLMF 7.18.7)."""
    x = np.concatenate([np.arange(0, 120, 0.25), [2.000001, 1e3, 1e8]])
    before, own, after = (sc.repeated_erfc(x, k) for k in (n - 1, n, n + 1))
    np.testing.assert_allclose(2 * x * own + 2 * (n + 1) * after, before, rtol=3e-14)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_derivatives_of_dawsons_integral_agree_with_their_recurrence(n: int) -> None:
    """D⁽ⁿ⁺¹⁾ = -2 (x D⁽ⁿ⁾ + n D⁽ⁿ⁻¹⁾), also where they come of the series (DLMF 7.10.3 with 7.5.1)."""
    x = np.linspace(-12, 12, 193)
    before = sc.dawson_derivative(x, n - 1) if n > 1 else sc.dawsn(x)
    own, after = (sc.dawson_derivative(x, k) for k in (n, n + 1))
    size = np.abs(after) + 2 * np.abs(x * own) + 2 * n * np.abs(before)
    assert np.all(np.abs(after + 2 * (x * own + n * before)) <= 1e-14 * size)


@pytest.mark.parametrize("function", [sc.jv, sc.yv, sc.yn, sc.iv, sc.kv, sc.ive, sc.kve], ids=name_of)
def test_whole_orders_of_either_sign(function: Any) -> None:
    """Are those of modified Bessel functions the same, and those of others but for the sign, also at 0."""
    x = np.array([0.5, 2.0, 30.0, *([0.0, -3.0, -40.0] if function in (sc.jv, sc.iv, sc.ive) else [])])
    for n, order in [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (4, 1)]:
        sign = (-1) ** n if function in (sc.jv, sc.yv, sc.yn) else 1
        of_both = [gradient(lambda x, n=k * n: function(n, x), x, order=order) for k in (1, -1)]
        np.testing.assert_allclose(of_both[1], sign * of_both[0], rtol=1e-12, atol=1e-300)


def test_orders_that_are_not_whole_have_no_slope_left_of_zero() -> None:
    """NaN, as the value, which SciPy does not warn of."""
    for function in (sc.jv, sc.iv, sc.ive):
        slopes = gradient(lambda x, f=function: f(np.array([2.5, 0.5, -1.5]), x), [[-3.0], [-40.0]])
        assert np.isnan(slopes).all(), name_of(function)


def test_what_a_selection_left_out_of_multivariate_gammas_stays_zero() -> None:
    """Their slope is infinite at 1, but not at what they are called with."""
    with np.errstate(divide="ignore"):
        slopes = gradient(lambda x: sc.multigammaln(1.5 + np.sqrt(x), 3)[1:], [0.0, 4.0])
    np.testing.assert_allclose(slopes, [0, sum(sc.psi(3.5 - j / 2) for j in range(3)) / 4])


def test_the_kink_of_the_huber_loss_has_one_mixed_derivative() -> None:
    """That of the branch inside, whichever comes first."""
    for r in (1.0, -1.0):
        for delta in (1.0, 0.5, 2.0):
            h = hessian(lambda p: sc.huber(p[0], p[1]))(np.array([delta, r]))
            np.testing.assert_array_equal(h, h.T)
            np.testing.assert_array_equal(
                h, [[-1, np.sign(r)], [np.sign(r), 0]] if delta < 1 else [[0, 0], [0, 1]]
            )


@pytest.mark.parametrize(
    "function", [sc.gammainc, sc.gammaincc, sc.jv, sc.iv, sc.kv, sc.gammaincinv, sc.hyp0f1]
)
def test_parameters_without_a_rule_may_be_a_list(function: Any) -> None:
    for parameter in ([1.0, 2.0], (1.0, 2.0), [np.float64(1), 2]):
        got = gradient(lambda x, p=parameter: function(p, x), [0.5, 0.25])
        np.testing.assert_array_equal(got, gradient(lambda x: function(np.array([1.0, 2.0]), x), [0.5, 0.25]))


@pytest.mark.parametrize("function", [sc.softmax, sc.log_softmax, sc.logsumexp], ids=name_of)
def test_of_all_elements_or_along_an_axis(function: Any) -> None:
    x = np.array([[0.5, -1.0, 2.0], [0.25, 1.5, -0.5]])
    for options in ({}, {"axis": None}, {"axis": 0}, {"axis": -1}, {"axis": (0, 1)}, {"axis": (1,)}):
        assert_slopes(lambda x, options=options: function(x, **options), x, orders=2)


@pytest.mark.parametrize(("a", "b"), [(0.7, -0.5), (-0.5, 0.7), (-1.5, 0.25), (0.25, -2.75), (-0.25, -0.5)])
def test_the_beta_function_left_of_zero(a: float, b: float) -> None:
    """Where it may be negative, which its logarithm does not tell."""
    for function in (sc.beta, sc.betaln):
        assert_slopes(lambda a, b, f=function: f(a, b), a, b, orders=2)
