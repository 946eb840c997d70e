"""Products beyond the domains: forms of call that are rare, and those that NumPy is about to drop."""

import re
from typing import Any

import numpy as np
import pytest

from domains.products import CONTRACTIONS
from slopes import assert_slopes
from tinygrad_lr import errors, record, tensor
from tinygrad_lr.derivatives import DERIVATIVES
from truths import gradient

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("sizes", [(2, 2), (2, 3), (3, 2)])
@pytest.mark.parametrize("stack", [(), (4,)])
@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) >= "2.5.0",
    reason="np.cross takes vectors in space only since NumPy 2.5",
)
def test_cross_of_vectors_in_the_plane(sizes: tuple[int, int], stack: tuple[int, ...]) -> None:
    """The third component counts as 0; NumPy warns that it will stop to do so."""
    a, b = RNG.uniform(-1, 1, (*stack, sizes[0])), RNG.uniform(-1, 1, sizes[1])
    with pytest.warns(DeprecationWarning, match="2-dimensional"):
        assert_slopes(np.cross, a, b)
    with pytest.warns(DeprecationWarning, match="2-dimensional"):
        assert_slopes(lambda a, b: np.cross(a, b, axisa=0), a.T, b)
    x, y = tensor(a), tensor(b)
    for leaf in (x, y):
        leaf.attach_grad()
    with record(), pytest.warns(DeprecationWarning, match="2-dimensional"):
        z = np.cross(x, y)
    z.backward()  # of its gradient nobody is warned
    if sizes == (2, 2):  # the other components of z are none, whatever gradient arrives at this one
        with pytest.warns(DeprecationWarning, match="2-dimensional"):
            slopes = gradient(np.cross, a, b, head=np.full(z.shape, np.inf))
        np.testing.assert_array_equal(slopes, np.broadcast_to([b[1], -b[0]], a.shape) * np.inf)


#: functions of two arrays, and shapes of these of which one has four axes and the other as many or less
FOUR_AXES: list[tuple[tuple[Any, ...], Any]] = [
    (
        (np.matmul, np.linalg.matmul, np.dot),
        [
            *(((2, 2, 3, 4), other) for other in [(4,), (4, 2), (2, 4, 2), (1, 2, 4, 2)]),
            *((other, (2, 2, 4, 3)) for other in [(4,), (2, 4), (2, 2, 4), (2, 1, 3, 4)]),
        ],
    ),
    (
        (np.vecdot, np.linalg.vecdot, np.inner),
        [
            *(((2, 2, 3, 4), other) for other in [(4,), (3, 4), (2, 3, 4), (1, 2, 3, 4)]),
            *((other, (2, 1, 3, 4)) for other in [(4,), (3, 4), (2, 3, 4)]),
        ],
    ),
    (
        (np.tensordot, np.linalg.tensordot),
        [((2, 2, 3, 4), (3, 4)), ((3, 4), (3, 4, 2, 2)), ((2, 1, 3, 4), (3, 4, 2, 1))],
    ),
    (
        (np.outer, np.kron, np.multiply.outer),
        [((2, 1, 2, 2), (2,)), ((2,), (2, 1, 2, 2)), ((2, 3), (4,)), ((4,), (2, 3)), ((3, 2), (2, 1, 3))],
    ),
    (
        (np.vdot,),
        [((2, 3), (6,)), ((6,), (2, 3)), ((2, 3), (3, 2)), ((1, 6), (2, 1, 3)), ((2, 1, 2, 3), (12,))],
    ),
    (
        (np.cross, np.linalg.cross),
        [((3,), (2, 4, 3)), ((2, 4, 3), (3,)), ((4, 1, 3), (2, 3)), ((2, 3), (2, 2, 1, 3)), ((1, 3), (3,))],
    ),
    ((np.linalg.outer, np.convolve), [((3,), (4,)), ((4,), (2,)), ((1,), (3,))]),
]
if hasattr(np, "matvec"):  # since NumPy 2.2
    FOUR_AXES.append(((np.matvec,), [((2, 2, 3, 4), other) for other in [(4,), (2, 4), (2, 1, 4)]]))
    FOUR_AXES.append(((np.vecmat,), [(other, (2, 2, 4, 3)) for other in [(4,), (2, 4), (2, 1, 4)]]))


@pytest.mark.parametrize(
    ("function", "pairs"), [(f, pairs) for functions, pairs in FOUR_AXES for f in functions]
)
def test_stacks_of_stacks(function: Any, pairs: Any) -> None:
    for one, other in pairs:
        assert_slopes(function, RNG.uniform(0.5, 2, one), RNG.uniform(0.5, 2, other))


@pytest.mark.parametrize(
    ("function", "pairs"), [(f, pairs) for functions, pairs in FOUR_AXES for f in functions]
)
@pytest.mark.parametrize("kind", [int, np.uint8, bool, np.float32, list], ids=lambda kind: kind.__name__)
def test_other_numbers_beside(function: Any, pairs: Any, kind: Any) -> None:
    """Whole numbers, truth values, float32 and lists, in either place: as the same numbers in float64."""
    for shapes in pairs:
        one, other = (np.resize([0.0, 1, 1, 3, 0, 2, 5, 1], shape) for shape in shapes)
        for beside, x, turned in (
            (one, other, lambda x, constant: function(constant, x)),
            (other, one, lambda x, constant: function(x, constant)),
        ):
            given = beside.tolist() if kind is list else beside.astype(kind)
            plain = np.asarray(given, float)
            head = np.random.default_rng(0).uniform(-1, 1, np.shape(function(one, other)))
            got, expected = (
                gradient(lambda x, c=c, turned=turned: turned(x, c), x, head=head) for c in (given, plain)
            )
            np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-14)


FORMS: list[Any] = [1, np.int64(1), np.array(1), (2, 0), (2, [0]), ([-1], 0), np.array([2, 0]), [[2], (0,)]]
FORMS += [((2, 1), (0, 1)), np.array([[2, 1], [0, -1]]), (range(2, 0, -1), (0, 1)), 0, ([], [])]


@pytest.mark.parametrize("axes", FORMS, ids=repr)
def test_forms_of_the_axes_that_are_summed_over(axes: Any) -> None:
    a, b = RNG.uniform(-1, 1, (2, 3, 4)), RNG.uniform(-1, 1, (4, 3))
    assert_slopes(lambda a, b: np.tensordot(a, b, axes), a, b)


@pytest.mark.parametrize("subscripts", ["ij,ij,j->i", "ii,ij,j->i", "ij,jk,ki", "ii,jj,ik->k"])
def test_an_order_of_products_is_meant_for_the_value(subscripts: str) -> None:
    """Its gradients are products as well, but of other arrays, and may be of more of them."""
    plan = ["einsum_path", (0, 1), (0, 1)]
    assert_slopes(
        lambda *arrays: np.einsum(subscripts, *arrays, optimize=plan),
        *(RNG.uniform(-1, 1, (3,) * len(part)) for part in subscripts.partition("->")[0].split(",")),
    )


@pytest.mark.parametrize(
    "operands",
    [
        lambda a, b: (a, [30, 7], b, [7, 51], [51, 30]),
        lambda a, b: (a, (0, 1), b, (1, 2)),
        lambda a, b: (a, [3, 1], b, [1, 0]),  # without an order of its own, the result has its labels sorted
        lambda a, b: (a, [0, ...], b, [1, ...], [..., 1, 0]),
        lambda a, b: (a, np.array([0, 1]), b, np.array([1, 2]), np.array([2, 0])),
    ],
    ids=range(5),
)
def test_lists_of_labels(operands: Any) -> None:
    assert_slopes(lambda a, b: np.einsum(*operands(a, b)), np.ones((3, 3)) / 2, RNG.uniform(-1, 1, (3, 3)))


@pytest.mark.parametrize(
    "call",
    [
        lambda *x: np.einsum(",".join("a" * len(x)), *x),
        lambda *x: np.einsum(*(p for a in x for p in (a, [0]))),
    ],
    ids=["text", "lists"],
)
def test_einsum_takes_many_arrays(call: Any) -> None:
    assert_slopes(call, *RNG.uniform(0.8, 1.2, (40, 2)))


def test_a_plan_takes_more_arrays_than_one_product() -> None:
    x = RNG.uniform(0.8, 1.2, (64, 2))
    pairs = [part for i, row in enumerate(x) for part in (row, [i // 2])]
    got = gradient(lambda last: np.einsum(*pairs[:-2], last, pairs[-1], optimize=True), x[-1])
    np.testing.assert_allclose(got, x[-2] * np.prod(np.sum(x[:-2:2] * x[1:-2:2], axis=1)))


def test_axes_that_the_result_leaves_out() -> None:
    """The optimizer of einsum sums over them; without it NumPy refuses to."""
    assert_slopes(
        lambda a, b: np.einsum("...i,i->i", a, b, optimize=True), RNG.uniform(-1, 1, (2, 3)), np.ones(3)
    )


DIAGONALS = "ii,j->i ijji->ji iij,jji,k iijj,ij->j ijij,kk->ik iiii,jj i...i,...jj Ab,bC->CA AA,A"


@pytest.mark.parametrize("subscripts", [*CONTRACTIONS.split(), *DIAGONALS.split()])
def test_every_contraction(subscripts: str) -> None:
    """Each label with a size of its own; dots stand for two axes of the first array, for one of others."""
    sizes = {"i": [2], "j": [3], "k": [4], "l": [5], "a": [4], "b": [5], "A": [2], "C": [3], ".": [3, 2]}
    points = []
    for part in subscripts.replace("...", ".").partition("->")[0].split(","):
        points.append(RNG.uniform(-1, 1, [n for label in part for n in sizes[label]]))
        sizes["."] = [2]
    assert_slopes(lambda *arrays: np.einsum(subscripts, *arrays), *points)


@pytest.mark.parametrize(
    "options",
    [
        {"optimize": ["einsum_path", (0, 1), (0, 1)]},
        {"optimize": ("greedy", 100)},
        {"optimize": "optimal"},
        {"optimize": False},
        {"order": "C", "casting": "safe", "dtype": None},
    ],
    ids=str,
)
def test_options_of_einsum(options: dict[str, Any]) -> None:
    shapes = [(2, 3), (3, 4), (4, 2)]
    assert_slopes(
        lambda *a: np.einsum("ij,jk,kl->il", *a, **options), *(RNG.uniform(-1, 1, shape) for shape in shapes)
    )


def test_einsum_in_another_dtype() -> None:
    x = tensor([1.0, 2.0], np.float32)
    x.attach_grad()
    with record():
        y = np.einsum("i,i", x, x, dtype=np.float64)
    y.backward()
    assert (y.dtype, x.grad.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(x.grad.array, [2, 4])


def test_the_path_of_einsum_is_a_constant() -> None:
    x: Any = tensor(np.ones((2, 3)))
    x.attach_grad()
    with record():
        path, text = np.einsum_path("ij,ij->", x, x)
    assert path == np.einsum_path("ij,ij->", x.array, x.array)[0]
    assert "contraction" in text


def test_only_what_is_needed_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an einsum of three arrays, the gradient of one is one einsum."""
    x, calls = tensor(np.ones((2, 2))), []
    x.attach_grad()
    with record():
        y = np.einsum("ij,jk,kl->il", np.ones((2, 2)), x, np.ones((2, 2)))
    einsum = np.einsum
    monkeypatch.setattr(np, "einsum", lambda *args, **options: calls.append(1) or einsum(*args, **options))
    y.backward()
    assert calls == [1]
    np.testing.assert_array_equal(x.grad.array, np.full((2, 2), 4))


@pytest.mark.parametrize("function", [np.matmul, np.linalg.matmul])
@pytest.mark.parametrize("of", [((4, 3), (5, 3, 2)), ((4, 3), (2, 5, 3, 2)), ((5, 4, 3), (3, 2))])
def test_one_matrix_beside_a_stack_takes_no_stack_of_gradients(function: Any, of: Any) -> None:
    """The product that makes its gradient sums over the stack as well, which may be all of the data."""
    a, b = (RNG.uniform(-1, 1, shape) for shape in of)
    y = function(a, b)
    one = 0 if a.ndim == 2 else 1
    assert DERIVATIVES[function].rules[one](y, y, a, b).shape == of[one]


def test_the_stack_of_factors_as_one_tensor() -> None:
    """np.linalg.multi_dot takes an array as the list of its parts."""
    assert_slopes(np.linalg.multi_dot, RNG.uniform(-1, 1, (3, 2, 2)))


@pytest.mark.parametrize("n", [0, 1, 2, 7, 40, -1, -3, np.int64(3)], ids=repr)
def test_powers_of_a_matrix(n: int) -> None:
    a = np.array([[0.9, 0.3], [-0.2, 0.8]])
    assert_slopes(lambda a: np.linalg.matrix_power(a, n), np.stack([a, a.T / 2]) if n >= 0 else a)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_powers_that_depend_on_no_number_of_a_matrix(bad: float) -> None:
    """Their gradients are what they are, and without a warning, also where some of these are not finite."""
    a, head = np.array([[bad, 1.0], [2.0, 3.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    for n in (0, 1):
        found = gradient(lambda a, n=n: np.linalg.matrix_power(a, n), a, head=head)
        np.testing.assert_array_equal(found, n * head)


@pytest.mark.parametrize("n", [300, -300, np.int16(300)])
def test_high_powers_of_a_matrix(n: int) -> None:
    """Of a turn, whose powers are turns: their slope by its scale is n times them."""
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    got = gradient(lambda t: np.sum(np.linalg.matrix_power(t * turn, n)), 1.0)
    np.testing.assert_allclose(got, n * np.sum(np.linalg.matrix_power(turn, n)), rtol=1e-11)


def test_powers_of_a_singular_matrix() -> None:
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert_slopes(lambda a: np.linalg.matrix_power(a, 3), a)
    assert_slopes(lambda a: np.linalg.matrix_power(a, 3), np.zeros((2, 2)))


def test_third_order() -> None:
    """Of trace(x³), by each of the products."""
    x = RNG.uniform(-1, 1, (2, 2))
    for cube in (
        lambda a: np.trace(a @ a @ a),
        lambda a: np.trace(np.linalg.matrix_power(a, 3)),
        lambda a: np.trace(np.linalg.multi_dot([a, a, a])),
        lambda a: np.einsum("ij,jk,ki", a, a, a),
        lambda a: np.tensordot(np.dot(a, a), a, ((0, 1), (1, 0))),
        lambda a: np.vdot(np.inner(a, a.T), a.T),
    ):
        np.testing.assert_allclose(cube(x), np.trace(x @ x @ x))
        np.testing.assert_allclose(gradient(cube, x), 3 * (x @ x).T, rtol=1e-12)
        assert_slopes(cube, x, orders=3)


FACTORS: list[Any] = [
    *(np.dot, np.inner, np.kron, np.outer, np.multiply.outer, lambda a, b: np.tensordot(a, b, axes=0)),
    *(lambda a, b: np.einsum("...,...", a, b), lambda a, b: np.einsum(a, [...], b, [...])),
]


@pytest.mark.parametrize("function", FACTORS, ids=range(8))
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)], ids=str)
def test_numbers_as_factors(function: Any, shape: tuple[int, ...]) -> None:
    """On either side, as a tensor or beside one."""
    x = RNG.uniform(-1, 1, shape)
    head = RNG.uniform(-1, 1, np.shape(function(x, 0.5)))
    for turned in (function, lambda a, b: np.reshape(function(b, a), head.shape)):
        assert_slopes(turned, x, 0.5, head=head, orders=2)
        for number in (3, 3.0, np.float64(3), np.array(3)):
            got = gradient(lambda x, n=number, f=turned: f(x, n), x, head=head)
            np.testing.assert_array_equal(got, 3 * np.reshape(head, shape))
    np.testing.assert_array_equal(gradient(lambda x: np.vdot(2, x), 3.0), 2)


@pytest.mark.parametrize("subscripts", ["...i,...ij", "...i,j...i->...j", "i...,...i->...", "...,...->..."])
@pytest.mark.parametrize("axes", [(1, 3), (2, 0), (3, 2)], ids=str)
def test_the_axes_that_dots_stand_for_meet_from_the_last_one(subscripts: str, axes: tuple[int, int]) -> None:
    """However many there are of each array, and of whatever sizes: here all are equal, or one."""
    for size in (1, 2):
        shapes = [
            (size,) * n + (2,) * len(part.replace("...", ""))
            for n, part in zip(axes, subscripts.partition("->")[0].split(","), strict=True)
        ]
        assert_slopes(lambda *x: np.einsum(subscripts, *x), *(RNG.uniform(-1, 1, shape) for shape in shapes))


@pytest.mark.filterwarnings("ignore:'where' used without 'out'")
def test_an_option_without_a_derivative_is_an_error() -> None:
    x = tensor(np.ones((2, 2)))
    x.attach_grad()
    with record(), pytest.raises(errors.NoDerivativeError, match=r"np\.divmod has no derivative .* where="):
        np.divmod(x, 2.0, where=np.eye(2) == 1)


PAIR = (0, 1)
AXES: list[Any] = [
    *([part] * n for n in range(5) for part in (PAIR, 0, (0,))),
    *([PAIR, 0, last] for last in (0, (1,), PAIR, ())),
    *([0, PAIR, last] for last in (0, (1,), PAIR, ())),
    *([0, 0, last] for last in ((), (0,), None)),
    *([PAIR, PAIR, last] for last in (0, (), (0, 0), (0, 7), (2, -3))),
    *([first, PAIR, PAIR] for first in ((0, 0), (0, 5), (0.5, 1), (0, 1, 2), (-1, -2))),
    *(None, 5, PAIR, (PAIR, PAIR, PAIR), np.array([PAIR, PAIR, PAIR])),
]
OPTIONS: list[dict[str, Any]] = [
    *({"axes": axes, **keep} for axes in AXES for keep in ({}, {"keepdims": True}, {"keepdims": False})),
    *(
        {"axis": axis, **keep}
        for axis in (0, -2, 3, None, (0,), 1.5)
        for keep in ({}, {"keepdims": True}, {"keepdims": 1})
    ),
    *({"axes": [0, 0], "axis": 0}, {"keepdims": None}),
    *(
        {**along, "dtype": np.float32, "casting": "same_kind"}
        for along in ({"axes": [PAIR] * 3}, {"axis": 0}, {"axes": [PAIR, 0, 0]}, {"axes": [0, PAIR, 0]})
    ),
]


@pytest.mark.parametrize("name", ["matmul", "vecdot", "matvec", "vecmat"])
def test_axes_are_what_numpy_says(name: str) -> None:
    """And so are its errors, of those that it does not take."""
    if not hasattr(np, name):  # NumPy 2.2
        return
    function, a = getattr(np, name), RNG.uniform(-1, 1, (3, 3, 3))
    x = tensor(a)
    x.attach_grad()
    values = 0
    for options in OPTIONS:
        try:
            expected = function(a, a, **options)
        except (TypeError, ValueError) as error:
            with record(), pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
                function(x, x, **options)
            continue
        with record():
            got = function(x, x, **options)
        rtol = 10 * np.finfo(expected.dtype).eps
        np.testing.assert_allclose(got.array, expected, rtol=rtol, atol=rtol, strict=True)
        values += 1
    assert values


def test_the_dtype_of_a_product_is_that_of_the_call() -> None:
    x = np.array([[1.0, 2.0], [3.0, 1e-9]])
    y = tensor(x)
    y.attach_grad()
    with record():
        z = np.matmul(y, y, dtype=np.float32, casting="same_kind")
    assert z.dtype == np.float32
    z.backward()
    assert y.grad.dtype == np.float64
    np.testing.assert_allclose(y.grad.array, x.sum(axis=1) + x.sum(axis=0)[:, None], rtol=1e-6)
