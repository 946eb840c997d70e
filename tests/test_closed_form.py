"""Least squares, standardisation and R², by the properties that define them and by published figures."""

import re
from pathlib import Path

import dask
import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from search import examples
from tinygrad_lr.closed_form import Moments, Standardisation, least_squares, r_squared
from tinygrad_lr.tables import DataError, check_regression, read_table

DATA = Path(__file__).parents[1] / "examples" / "data"
Floats = NDArray[np.float64]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """Well-posed regressions: columns far from zero in units of their own, a target not linear in them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    features = draw(st.integers(1, 5))
    rows = features + draw(st.integers(3, 30))
    units = 10.0 ** rng.uniform(-6, 6, features)
    X = (rng.normal(size=(rows, features)) + rng.uniform(-100, 100, features)) * units
    return X, rng.normal(size=rows) * 10.0 ** rng.uniform(-6, 6)


def positive(limit: float = 1e3) -> st.SearchStrategy[float]:
    return st.floats(1 / limit, limit)


@given(problems())
def test_residuals_are_orthogonal_to_every_column_and_to_the_constant(problem: tuple[Floats, Floats]) -> None:
    X, y = problem
    w, b = least_squares(X, y)
    residual = y - (X @ w + b)
    design = np.column_stack([Standardisation.fit(X).apply(X), np.ones(len(X))])
    np.testing.assert_allclose(design.T @ residual / np.linalg.norm(y) / len(y), 0, atol=1e-10)


@given(problems(), st.integers(0, 2**32 - 1))
def test_no_other_parameters_have_a_smaller_error(problem: tuple[Floats, Floats], seed: int) -> None:
    X, y = problem
    w, b = least_squares(X, y)
    rng = np.random.default_rng(seed)
    other = w * (1 + 0.1 * rng.normal(size=w.shape)), b * (1 + 0.1 * rng.normal())
    assert np.sum((X @ w + b - y) ** 2) <= np.sum((X @ other[0] + other[1] - y) ** 2)


@given(problems(), positive(), st.floats(-100, 100), positive(), st.floats(-100, 100))
def test_other_units_give_the_same_model(
    problem: tuple[Floats, Floats], stretch: float, shift: float, y_stretch: float, y_shift: float
) -> None:
    X, y = problem
    X_other, y_other = stretch * (X + shift * X.std(axis=0)), y_stretch * (y + y_shift * y.std())
    (w, b), (w_other, b_other) = least_squares(X, y), least_squares(X_other, y_other)
    predicted = (X_other @ w_other + b_other) / y_stretch - y_shift * y.std()
    np.testing.assert_allclose(predicted, X @ w + b, rtol=0, atol=1e-7 * y.std())
    standardised, standardised_other = w * X.std(axis=0), w_other * X_other.std(axis=0) / y_stretch
    np.testing.assert_allclose(
        standardised_other, standardised, rtol=0, atol=1e-7 * max(y.std(), np.abs(standardised).max())
    )


@given(problems())
def test_exact_parameters_are_found_exactly(problem: tuple[Floats, Floats]) -> None:
    X, y = problem
    truth = y[: X.shape[1]] / X.std(axis=0)
    w, b = least_squares(X, X @ truth + 4.2)
    np.testing.assert_allclose(w * X.std(axis=0), truth * X.std(axis=0), atol=1e-9 * np.abs(y).max() + 1e-9)
    np.testing.assert_allclose(X @ w + b, X @ truth + 4.2, rtol=1e-9, atol=1e-8 * np.abs(y).max())


@given(problems())
def test_a_column_target_gives_column_weights(problem: tuple[Floats, Floats]) -> None:
    X, y = problem
    w, b = least_squares(X, y)
    w_column, b_column = least_squares(X, y[:, None])
    assert (w_column.shape, b_column.shape, b.shape) == ((*w.shape, 1), (1,), ())
    np.testing.assert_allclose(w_column[:, 0], w, rtol=1e-12)
    np.testing.assert_allclose(b_column[0], b, rtol=1e-12)


def test_offsets_cost_no_digits() -> None:
    x = np.arange(7.0)
    w, b = least_squares(x[:, None] + 1e8, 3 * x + 1e10)  # every number here is exact in float64
    np.testing.assert_allclose(w, 3, rtol=1e-14)
    np.testing.assert_allclose(b, 1e10 - 3e8, rtol=1e-14)


def test_dependent_columns_share_the_weight() -> None:
    x = np.arange(5.0)
    w, b = least_squares(np.column_stack([x, 10 * x]), 6 * x + 1)
    np.testing.assert_allclose(w * [1, 10], [3, 3])
    assert b == pytest.approx(1)


@pytest.mark.parametrize(
    ("X_shape", "y_shape"), [((3,), (3,)), ((3, 2), (2,)), ((3, 2), (3, 2)), ((3, 2), ())]
)
def test_shapes_that_do_not_fit(X_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"X has shape .* and y .*; write X as \(rows, features\)"):
        least_squares(np.zeros(X_shape), np.zeros(y_shape))


@given(problems())
def test_standardised_columns_have_mean_zero_and_mean_square_one(problem: tuple[Floats, Floats]) -> None:
    X, _ = problem
    standardisation = Standardisation.fit(X)
    z = standardisation.apply(X)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.mean(z**2, axis=0), 1, rtol=1e-9)
    np.testing.assert_allclose(z * standardisation.scale + standardisation.mean, X, rtol=1e-12)
    np.testing.assert_allclose(Standardisation.fit(z).apply(z), z, atol=1e-9)


@given(problems(), st.booleans(), st.booleans())
def test_parameters_in_data_units_predict_the_same(
    problem: tuple[Floats, Floats], standardised_target: bool, column: bool
) -> None:
    X, y = problem
    y = y[:, None] if column else y
    inputs, target = Standardisation.fit(X), Standardisation.fit(y)
    w, b = least_squares(inputs.apply(X), target.apply(y) if standardised_target else y)
    predicted = inputs.apply(X) @ w + b
    if standardised_target:
        predicted = target.mean + target.scale * predicted
        w_data, b_data = inputs.to_data_units(w, b, target)
    else:
        w_data, b_data = inputs.to_data_units(w, b)
    assert (w_data.shape, b_data.shape) == (w.shape, b.shape)
    np.testing.assert_allclose(X @ w_data + b_data, predicted, rtol=0, atol=1e-9 * np.abs(y).max())


@given(problems(), st.floats(-10, 10), st.floats(-10, 10))
def test_a_single_column_has_a_number_for_its_weight(
    problem: tuple[Floats, Floats], w: float, b: float
) -> None:
    x, target = problem[0][:, 0], Standardisation.fit(problem[1])
    of_numbers = Standardisation.fit(x).to_data_units(w, b, target)
    of_columns = Standardisation.fit(x[:, None]).to_data_units([w], b, target)
    assert of_numbers[0].shape == of_numbers[1].shape == ()
    assert of_numbers[0] == of_columns[0].item()
    assert of_numbers[1] == of_columns[1]


@given(st.floats(-1e100, 1e100), st.integers(1, 20))
def test_a_constant_column_becomes_zeros_not_rounding_noise(value: float, rows: int) -> None:
    standardisation = Standardisation.fit(np.full((rows, 1), value))
    assert standardisation.scale.tolist() == [1.0]
    np.testing.assert_allclose(standardisation.apply([[value]]), 0, atol=1e-14 * abs(value))


def test_differences_whose_squares_vanish_do_not_divide_by_zero() -> None:
    assert Standardisation.fit([0.0, 1e-200]).apply([0.0, 1e-200]).tolist() == [-5e-201, 5e-201]


@pytest.mark.parametrize("shape", [(), (0,), (0, 3)])
def test_standardising_nothing(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"no mean without rows: x has shape .*; pass at least one row"):
        Standardisation.fit(np.zeros(shape))


@given(problems(), positive(), st.floats(-1e3, 1e3))
def test_r_squared_is_the_squared_correlation_whatever_the_units(
    problem: tuple[Floats, Floats], stretch: float, shift: float
) -> None:
    X, y = problem
    w, b = least_squares(X, y)
    y_hat = X @ w + b
    r2 = r_squared(y, y_hat)
    assert 0 <= r2 <= 1
    np.testing.assert_allclose(r2, np.corrcoef(y, y_hat)[0, 1] ** 2, atol=1e-8)
    np.testing.assert_allclose(
        r2, r_squared(stretch * y + shift * y.std(), stretch * y_hat + shift * y.std()), atol=1e-7
    )


@given(problems())
def test_r_squared_grows_with_every_feature(problem: tuple[Floats, Floats]) -> None:
    X, y = problem
    shares = []
    for features in range(1, X.shape[1] + 1):
        w, b = least_squares(X[:, :features], y)
        shares.append(r_squared(y, X[:, :features] @ w + b))
    assert all(np.diff(shares) >= -1e-9)


@given(problems())
def test_r_squared_of_perfect_mean_and_worse_predictions(problem: tuple[Floats, Floats]) -> None:
    _, y = problem
    assert r_squared(y, y) == 1
    assert r_squared(y, np.full_like(y, y.mean())) == pytest.approx(0, abs=1e-12)
    assert r_squared(y, 2 * y.mean() - y) == pytest.approx(-3)


def test_r_squared_refuses_shapes_that_would_broadcast() -> None:
    with pytest.raises(ValueError, match=r"y has shape \(3,\) and y_hat \(3, 1\); reshape"):
        r_squared(np.zeros(3), np.zeros((3, 1)))


@pytest.mark.parametrize("y", [[], [2.0], [0.1, 0.1, 0.1]])
def test_r_squared_of_what_does_not_vary_is_undefined(y: list[float]) -> None:
    assert np.isnan(r_squared(y, y))


# The figures of examples/data/README.md, which says who else prints them.
@pytest.mark.parametrize(
    ("file", "target", "parameters", "r2"),
    [
        ("penguins.csv", "body_mass_g", {"flipper_length_mm": 49.68557, "intercept": -5780.83136}, 0.7590),
        (
            "penguins.csv",
            "body_mass_g",
            {
                "bill_length_mm": 4.16182,
                "bill_depth_mm": 20.04953,
                "flipper_length_mm": 50.26922,
                "intercept": -6424.76470,
            },
            0.7615,
        ),
        ("engel.csv", "foodexp", {"income": 0.48518, "intercept": 147.47539}, 0.8304),
    ],
)
def test_real_data_give_the_published_figures(
    file: str, target: str, parameters: dict[str, float], r2: float
) -> None:
    features = list(parameters)[:-1]
    table = read_table(DATA / file)
    check_regression(table, features, target)
    X, y = table.select(features).values, table.column(target)
    w, b = least_squares(X, y)
    np.testing.assert_allclose([*w, b], list(parameters.values()), rtol=0, atol=5.01e-6)
    assert r_squared(y, X @ w + b) == pytest.approx(r2, abs=5e-5)


# ---- Dask arrays ------------------------------------------------------------------------------------------


@examples(10)
@given(problems(), st.data())
def test_of_dask_arrays_all_is_as_of_numpys(problem: tuple[Floats, Floats], data: st.DataObject) -> None:
    """Whatever the chunks are, empty ones too."""
    X, y = problem
    cuts = sorted(data.draw(st.lists(st.integers(0, len(X)), max_size=4)))
    chunks = tuple(np.diff([0, *cuts, len(X)]).tolist())
    lazy_X = dask.array.from_array(X, chunks=(chunks, X.shape[1]))
    lazy_y = dask.array.from_array(y, chunks=(chunks,))
    with dask.config.set(scheduler="sync"):
        standard, expected = Standardisation.fit(lazy_X), Standardisation.fit(X)
        np.testing.assert_allclose(standard.mean, expected.mean, atol=1e-12 * abs(X).max())
        np.testing.assert_allclose(standard.scale, expected.scale, rtol=1e-9)
        np.testing.assert_allclose(standard.apply(lazy_X).compute(), standard.apply(X), rtol=1e-12)
        (w, b), (true_w, true_b) = least_squares(lazy_X, lazy_y), least_squares(X, y)
        np.testing.assert_allclose(X @ w + b, X @ true_w + true_b, atol=1e-5 * abs(y).max())
        assert w.shape == true_w.shape
        assert b.shape == true_b.shape
        y_hat = X @ true_w + true_b
        found = r_squared(lazy_y, dask.array.from_array(y_hat, chunks=(chunks,)))
        np.testing.assert_allclose(found, r_squared(y, y_hat), atol=1e-9)


@given(problems(), st.data())
def test_moments_add_up_and_a_few_rows_stand_in_for_all(
    problem: tuple[Floats, Floats], data: st.DataObject
) -> None:
    table = np.column_stack(problem)
    cut = data.draw(st.integers(0, len(table)))
    whole, parts = Moments.of(table), Moments.of(table[:cut]) + Moments.of(table[cut:])
    size = abs(table - table.mean(axis=0)).max() ** 2 * len(table)
    assert parts.rows == len(table)
    np.testing.assert_allclose(parts.products, whole.products, atol=1e-11 * size)
    rows = parts.stand_in()
    np.testing.assert_allclose(rows.mean(axis=0), table.mean(axis=0), rtol=1e-9, atol=1e-9 * np.sqrt(size))
    np.testing.assert_allclose(np.cov(rows.T, bias=True), np.cov(table.T, bias=True), atol=1e-9 * size)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "chunk 1, row 1, column 2: the value is missing or NaN; fill it in or remove the row"),
        (-np.inf, "chunk 1, row 1, column 2: the value is infinite; correct it or remove the row"),
    ],
)
def test_a_bad_number_in_one_chunk(value: float, message: str) -> None:
    X = np.ones((8, 3))
    X[5, 2] = value
    with dask.config.set(scheduler="sync"), pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Standardisation.fit(dask.array.from_array(X, chunks=(4, 2)))


def test_sums_that_overflow() -> None:
    with pytest.raises(DataError, match=r"^far\.parquet, column 'x': the sum of its values overflows"):
        Moments.of(np.array([[0.0], [1e308], [1e308], [1e308]]), "far.parquet", ["x"])
