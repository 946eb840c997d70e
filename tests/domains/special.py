"""Domains of scipy.special; none without SciPy."""

import importlib.util
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from .basics import Call, Domain, Numbers, elementwise, filled, nonzero, normal, positive, shapes

# ---- numbers ----------------------------------------------------------------------------------------------


def between(low: float, high: float) -> Numbers:
    return lambda rng, n: rng.uniform(low, high, n)


def whole(low: int, high: int) -> Numbers:
    return lambda rng, n: rng.integers(low, high + 1, n)


def large(rng: np.random.Generator, n: int) -> Any:
    """Beyond positive ones: where x and y are equal, x log(x / y) - x + y is nothing but rounding."""
    return rng.uniform(3.5, 5, n)


def residuals(rng: np.random.Generator, n: int) -> Any:
    """Away from where a loss with a delta between 0.4 and 0.6 bends."""
    sizes = np.where(rng.random(n) < 0.5, rng.uniform(0.05, 0.3, n), rng.uniform(0.7, 2, n))
    return sizes * rng.choice([-1, 1], n)


probability, delta = between(0.1, 0.9), between(0.4, 0.6)

# ---- calls ------------------------------------------------------------------------------------------------


@st.composite
def of_shape(draw: st.DrawFn, count: int, numbers: Numbers) -> Call:
    """A function of one number that also has shape parameters, in which nothing is differentiated."""
    given = [draw(st.sampled_from([1, 2, 0.5, 2.25])) for _ in range(count)]
    return Call((*given, filled(draw, draw(shapes()), numbers)))


def of_order(low: int, high: int, numbers: Numbers) -> st.SearchStrategy[Call]:
    return elementwise(whole(low, high), numbers)


@st.composite
def axes(draw: st.DrawFn, ndim: int) -> Any:
    chosen = st.none() | hnp.valid_tuple_axes(ndim)
    return draw(chosen | st.integers(-ndim, ndim - 1) if ndim else chosen)


@st.composite
def over_axes(draw: st.DrawFn) -> Call:
    a = filled(draw, draw(shapes(min_side=1)), normal)
    axis = draw(axes(a.ndim))
    return draw(st.sampled_from([Call((a, axis)), Call((a,), {"axis": axis})]))


@st.composite
def exponential_sums(draw: st.DrawFn) -> Call:
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
    a, b = (
        filled(draw, shape, kind) for shape, kind in zip(drawn.input_shapes, (normal, positive), strict=True)
    )
    return_sign, weighted = draw(st.booleans()), draw(st.booleans())
    options: dict[str, Any] = {
        "axis": draw(axes(len(drawn.result_shape) if weighted else a.ndim)),
        "b": (-b if return_sign and draw(st.booleans()) else b) if weighted else None,
        "keepdims": draw(st.booleans()),
        "return_sign": return_sign,
    }
    count = draw(st.integers(2, 4))
    return Call((a, *list(options.values())[:count]), dict(list(options.items())[count:]))


@st.composite
def multivariate_gammas(draw: st.DrawFn) -> Call:
    return Call((filled(draw, draw(shapes(max_dims=2)), between(2.1, 4)), draw(st.integers(1, 4))))


def of_degree(
    before: tuple[Any, ...] = (), after: tuple[Any, ...] = (), *, most: int
) -> st.SearchStrategy[Call]:
    """A function of positive numbers, of other arguments, and of how many times it is differentiated."""
    x, degree = elementwise(positive), st.integers(1, most)
    return st.builds(lambda call, n: Call((*before, *call.arguments, *after, n)), x, degree)


def domains() -> dict[Any, Domain]:
    from tinygrad_lr.derivatives import special as sc

    return {
        sc.gaussian: Domain(elementwise(normal)),
        sc.inverse_mills: Domain(elementwise(normal)),
        # of degree 3 sums of terms that cancel, of which differences are too rough a truth
        sc.dawson_derivative: Domain(of_degree(most=2)),
        sc.repeated_erfc: Domain(of_degree(most=2)),
        # a difference of many terms, in whose rounding those of higher degrees have a part
        sc.scaled_bessel: Domain(
            of_degree((2,), (True,), most=1) | of_degree((2.5,), (False,), most=2),
            floats=(np.float64, np.float32),  # beyond float16
        ),
        sc.gamma_density: Domain(of_shape(2, positive)),
        sc.beta_density: Domain(of_shape(4, probability)),
        # exponentials, logarithms, powers
        sc.expm1: Domain(elementwise(normal), analytic=True),
        sc.exp2: Domain(elementwise(normal)),
        sc.exp10: Domain(elementwise(normal)),
        sc.log1p: Domain(elementwise(positive), analytic=True),
        sc.cbrt: Domain(elementwise(nonzero)),
        sc.cosm1: Domain(elementwise(normal)),
        sc.exprel: Domain(elementwise(normal)),
        sc.boxcox: Domain(elementwise(positive, normal)),
        sc.boxcox1p: Domain(elementwise(positive, normal)),
        sc.inv_boxcox: Domain(elementwise(between(-0.4, 0.4), normal)),
        sc.inv_boxcox1p: Domain(elementwise(between(-0.4, 0.4), normal)),
        # logistic
        sc.expit: Domain(elementwise(normal)),
        sc.log_expit: Domain(elementwise(normal)),
        sc.logit: Domain(elementwise(probability)),
        # entropies
        sc.xlogy: Domain(elementwise(normal, positive), analytic=True),
        sc.xlog1py: Domain(elementwise(normal, positive), analytic=True),
        sc.entr: Domain(elementwise(positive)),
        sc.rel_entr: Domain(elementwise(positive, positive)),
        sc.kl_div: Domain(elementwise(positive, large)),
        # robust losses
        sc.huber: Domain(elementwise(delta, residuals)),
        sc.pseudo_huber: Domain(elementwise(delta, normal)),
        # error function and normal distribution
        sc.erf: Domain(elementwise(normal), analytic=True),
        sc.erfc: Domain(elementwise(normal), analytic=True),
        sc.erfcx: Domain(elementwise(normal), analytic=True),
        sc.erfi: Domain(elementwise(normal), analytic=True),
        sc.dawsn: Domain(elementwise(normal), analytic=True),
        sc.erfinv: Domain(elementwise(between(-0.9, 0.9))),
        sc.erfcinv: Domain(elementwise(between(0.1, 1.9))),
        sc.ndtr: Domain(elementwise(normal), analytic=True),
        sc.ndtri: Domain(elementwise(probability)),
        sc.log_ndtr: Domain(elementwise(normal), analytic=True),
        sc.ndtri_exp: Domain(elementwise(between(-3, -0.1))),
        # gamma and beta functions
        sc.gamma: Domain(elementwise(positive), analytic=True),
        sc.rgamma: Domain(elementwise(between(-3.2, 3.2))),
        sc.gammaln: Domain(elementwise(positive)),
        sc.loggamma: Domain(elementwise(positive), analytic=True),
        sc.psi: Domain(elementwise(positive), analytic=True),
        sc.hurwitz_zeta: Domain(elementwise(whole(2, 5), positive)),
        sc.polygamma: Domain(elementwise(whole(0, 3), positive)),
        sc.multigammaln: Domain(multivariate_gammas()),
        sc.beta: Domain(elementwise(positive, positive)),
        sc.betaln: Domain(elementwise(positive, positive)),
        sc.gammainc: Domain(of_shape(1, positive)),
        sc.gammaincc: Domain(of_shape(1, positive)),
        sc.gammaincinv: Domain(of_shape(1, probability)),
        sc.gammainccinv: Domain(of_shape(1, probability)),
        sc.betainc: Domain(of_shape(2, probability)),
        sc.betaincc: Domain(of_shape(2, probability)),
        sc.betaincinv: Domain(of_shape(2, probability)),
        sc.betainccinv: Domain(of_shape(2, probability)),
        # Bessel and Airy functions
        sc.j0: Domain(elementwise(normal)),
        sc.j1: Domain(elementwise(normal)),
        sc.jv: Domain(of_order(-2, 3, nonzero) | of_shape(1, positive)),
        sc.y0: Domain(elementwise(positive)),
        sc.y1: Domain(elementwise(positive)),
        sc.yv: Domain(of_order(-2, 3, positive) | of_shape(1, positive)),
        sc.yn: Domain(of_order(-2, 3, positive)),
        sc.i0: Domain(elementwise(normal)),
        sc.i1: Domain(elementwise(normal)),
        sc.iv: Domain(of_order(-2, 3, nonzero) | of_shape(1, positive)),
        sc.k0: Domain(elementwise(positive)),
        sc.k1: Domain(elementwise(positive)),
        sc.kv: Domain(of_order(-2, 3, positive) | of_shape(1, positive)),
        sc.kn: Domain(of_order(0, 3, positive)),
        sc.i0e: Domain(elementwise(nonzero)),
        sc.i1e: Domain(elementwise(nonzero)),
        sc.ive: Domain(of_order(-2, 3, nonzero) | of_shape(1, positive)),
        sc.k0e: Domain(elementwise(positive)),
        sc.k1e: Domain(elementwise(positive)),
        sc.kve: Domain(of_order(-2, 3, positive) | of_shape(1, positive)),
        sc.airy: Domain(elementwise(normal)),
        # integrals
        sc.expi: Domain(elementwise(nonzero)),
        sc.exp1: Domain(elementwise(positive)),
        sc.sici: Domain(elementwise(positive)),
        sc.fresnel: Domain(elementwise(normal)),
        sc.spence: Domain(elementwise(positive)),
        # hypergeometric functions
        sc.hyp0f1: Domain(of_shape(1, normal)),
        sc.hyp1f1: Domain(of_shape(2, normal)),
        sc.hyp2f1: Domain(of_shape(3, between(-0.9, 0.7))),
        # sums of exponentials
        sc.logsumexp: Domain(exponential_sums()),
        sc.softmax: Domain(over_axes()),
        sc.log_softmax: Domain(over_axes()),
    }


DOMAINS = domains() if importlib.util.find_spec("scipy") else {}
