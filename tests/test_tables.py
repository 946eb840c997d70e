"""Tables: what is read is what was written, and every mistake gets the line that names it."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinygrad_lr.tables import DataError, Table, check_regression, read_table

finite = st.floats(allow_nan=False, allow_infinity=False)


def is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


# Surrounding spaces are dropped; NUL, lone surrogates and a leading byte order mark are not text in UTF-8; a
# header of numbers is taken for a missing header.
names = (
    st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), min_size=1, max_size=8)
    | st.sampled_from(
        ["mass, kg", 'the "real" mass', "two\nlines", "\r\n.", "体重", "a;b", "a\tb;c", "'", "nan"]
    )
).filter(lambda name: name == name.strip() and name and not is_number(name))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[float]]]:
    header = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    row = st.lists(finite, min_size=len(header), max_size=len(header))
    return header, draw(st.lists(row, min_size=1, max_size=6))


def to_csv(rows: Sequence[Sequence[object]], delimiter: str = ",", newline: str = "\r\n") -> str:
    text = io.StringIO()
    # Left to itself, the writer quotes a cell with a newline only if its own newline holds that character.
    csv.writer(
        text,
        delimiter=delimiter,
        lineterminator=newline,
        quoting=csv.QUOTE_MINIMAL if newline == "\r\n" else csv.QUOTE_ALL,
    ).writerows(rows)
    return text.getvalue()


def read_text(text: str | bytes, columns: Sequence[str] | None = None) -> Table:
    with TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(path, columns)


def complaint(text: str | bytes, columns: Sequence[str] | None = None) -> str:
    """The message of the error, from the file's name on."""
    with pytest.raises(DataError) as caught:
        read_text(text, columns)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message[message.index("data.csv") :]


def lines_of(rows: Sequence[Sequence[object]], newline: str) -> list[int]:
    """The line in which each row begins, found by writing what stands above it."""
    return [len((to_csv(rows[:i], newline=newline) + "x").encode().splitlines()) for i in range(len(rows))]


@given(tables(), st.booleans(), st.sampled_from(["\n", "\r\n", "\r"]))
def test_floats_come_back_bit_for_bit(
    table: tuple[list[str], list[list[float]]], byte_order_mark: bool, newline: str
) -> None:
    header, rows = table
    text = to_csv([header, *rows], newline=newline)
    read = read_text(text.encode("utf-8-sig" if byte_order_mark else "utf-8"))
    assert read.columns == tuple(header)
    assert read.values.tobytes() == np.array(rows).tobytes()
    assert list(read.lines) == lines_of([header, *rows], newline)[1:]
    for position, name in enumerate(header):
        np.testing.assert_array_equal(read.column(name), read.values[:, position])


@given(tables(), st.sampled_from([",", ";", "\t"]), st.data())
def test_columns_by_name_in_any_order_whatever_the_delimiter(
    table: tuple[list[str], list[list[float]]], delimiter: str, data: st.DataObject
) -> None:
    rows = table[1]
    header = [f"column {i}" for i in range(len(rows[0]))]
    wanted = data.draw(st.permutations(header))[: data.draw(st.integers(1, len(header)))]
    text = to_csv([header, *rows], delimiter)
    expected = np.array(rows)[:, [header.index(name) for name in wanted]]
    np.testing.assert_array_equal(read_text(text, wanted).values, expected)
    np.testing.assert_array_equal(read_text(text).select(wanted).values, expected)


bad_cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=80).filter(
    lambda cell: not is_number(cell)
) | st.sampled_from(["", "NaN", "-inf", "1e999", "3,5", "1,234", "1_000", "two\nlines", '"', "NA"])


@given(tables(), bad_cells, st.data())
def test_one_bad_cell_is_named_by_line_and_column(
    table: tuple[list[str], list[list[float]]], bad: str, data: st.DataObject
) -> None:
    header, floats = table
    # With one column, "a;b" over "x;y" is a table of two.
    assume(len(header) > 1 or not {";", "\t"} & set(bad))
    rows: list[list[object]] = [list(row) for row in floats]
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, len(header) - 1))
    rows[row][column] = bad
    text = to_csv([header, *rows])
    line = lines_of([header, *rows], "\r\n")[row + 1]
    assert complaint(text).startswith(f"data.csv, line {line}, column {header[column]!r}: ")

    others = [name for name in header if name != header[column]]
    if others:  # the cell does not matter to who does not ask for its column
        expected = np.delete(np.array(floats), column, axis=1)
        np.testing.assert_array_equal(read_text(text, others).values, expected)


@given(tables(), st.data())
def test_one_row_of_another_length_is_named_by_its_line(
    table: tuple[list[str], list[list[float]]], data: st.DataObject
) -> None:
    header, floats = table
    header = [f"c{i}" for i in range(len(header) + 1)]
    rows = [[*row, 1.0] for row in floats]
    row = data.draw(st.integers(0, len(rows) - 1))
    kept = data.draw(st.integers(1, len(header) + 2).filter(lambda n: n != len(header)))
    rows[row] = [*rows[row], 2.0, 3.0][:kept]
    message = complaint(to_csv([header, *rows]))
    assert message.startswith(f"data.csv, line {row + 2}, ")
    assert f"column {header[min(kept, len(header) - 1)]!r}: " in message


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv does not exist; check the path"):
        read_table(tmp_path / "nowhere.csv")


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a directory; name a CSV file in it"):
        read_table(tmp_path)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:  # file modes do not stop an administrator, who may run the tests
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        DataError, match=r"cannot be read \(Permission denied\); check its name and permissions"
    ):
        read_table(tmp_path / "data.csv")


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(.*\); check its name and permissions"):
        read_table(tmp_path / ("x" * 5000 + ".csv"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # the file
        (b"", "data.csv is empty; it needs a header row with column names, then rows of numbers"),
        (b" \r\n\n", "data.csv is empty; it needs a header row with column names, then rows of numbers"),
        (b"\xef\xbb\xbf", "data.csv is empty; it needs a header row with column names, then rows of numbers"),
        (
            b"a,b\n1,2\n\xe9,4\n",
            "data.csv, line 3: byte 0xe9 is not UTF-8; save the table as CSV in UTF-8",
        ),
        (
            "a,b\n1,2\n".encode("utf-16"),
            "data.csv, line 1: byte 0xff is not UTF-8; save the table as CSV in UTF-8",
        ),
        (
            b"a,b\n1,2\n3,\x004\n",
            "data.csv, line 3: a NUL byte, which no text holds; save the table as CSV in UTF-8",
        ),
        # the header
        ("a,b\n", "data.csv holds only a header; add rows of numbers below it"),
        (
            "\n1,2.5\n3,4\n",
            "data.csv, line 2: the header is missing, this row holds numbers (1, 2.5); "
            "put the column names above",
        ),
        (
            "a,b,\n1,2,\n",
            "data.csv, line 1: column 3 has no name; name it, or remove it "
            "(a delimiter at the end of the line makes such a column, and so does a saved row index)",
        ),
        (
            "a,b, a\n1,2,3\n",
            "data.csv, line 1: columns 1 and 3 are both named 'a'; rename one",
        ),
        # the rows
        (
            "a,b,c\n1,2,3\n\n4\n",
            "data.csv, line 4, column 'b': the row ends after 1 of 3 cells; fill in the others",
        ),
        (
            "a,b\n1,2\n3,4,,\n",
            "data.csv, line 3, column 'b': the row goes on with 2 empty cells; "
            "remove each ',' after this column",
        ),
        (
            "a;b\n1;2;\n",
            "data.csv, line 2, column 'b': the row goes on with 1 empty cell; "
            "remove each ';' after this column",
        ),
        (
            "a,b\n1,2\n3,5,1\n",
            "data.csv, line 3, after column 'b': '1' is too many, 3 cells for 2 columns; "
            "write 3.5 for 3,5 and 1234 for 1,234, and put quotes around text that holds ','",
        ),
        (
            'a,b\n1,2\n3,"4\n5,6\n',
            "data.csv, line 3: the row cannot be split into cells (unexpected end of data); "
            'close each quote, and write a quote inside a quoted cell as ""',
        ),
        (
            'a,b\n1,2\n"3"x,4\n',
            "data.csv, line 3: the row cannot be split into cells (',' expected after '\"'); "
            'close each quote, and write a quote inside a quoted cell as ""',
        ),
        # the cells
        ('a\n1\n""\n', "data.csv, line 3, column 'a': the cell is empty; fill it in or remove the row"),
        ("a,b\n1,2\n3,  \n", "data.csv, line 3, column 'b': the cell is empty; fill it in or remove the row"),
        (
            "a,b\n1,2\n3,N/A\n",
            "data.csv, line 3, column 'b': 'N/A' stands for a missing value; fill it in or remove the row",
        ),
        (
            "a,b\n1,2\n3,NaN\n",
            "data.csv, line 3, column 'b': 'NaN' stands for a missing value; fill it in or remove the row",
        ),
        (
            "a,b\n1,2\n3,-inf\n",
            "data.csv, line 3, column 'b': '-inf' is infinite as a float64; correct it or remove the row",
        ),
        (
            "a,b\n1,2\n3,1e999\n",
            "data.csv, line 3, column 'b': '1e999' is infinite as a float64; correct it or remove the row",
        ),
        (
            "a,b\n1,2\n3,tall\n",
            "data.csv, line 3, column 'b': 'tall' is not a number; "
            "write a number such as 3.5, or remove the row",
        ),
        (
            'a,b\n1,"1,234"\n',
            "data.csv, line 2, column 'b': '1,234' is not a number; "
            "write 1234, or 1.234 if the comma is a decimal comma",
        ),
        (
            'a,b\n1,"-1,234,567.8"\n',
            "data.csv, line 2, column 'b': '-1,234,567.8' is not a number; write -1234567.8",
        ),
        ("a;b\n1;3,5\n", "data.csv, line 2, column 'b': '3,5' is not a number; write 3.5"),
        ("a\tb\n1\t1.234,5\n", "data.csv, line 2, column 'b': '1.234,5' is not a number; write 1234.5"),
        ("a,b\n1,1 234\n", "data.csv, line 2, column 'b': '1 234' is not a number; write 1234"),
        ("a,b\n1,1_234\n", "data.csv, line 2, column 'b': '1_234' is not a number; write 1234"),
        # whole columns
        (
            "name,a\n,1\nTom,2\nRex,3\n",
            "data.csv, line 2, column 'name': no row has a number, the first text is 'Tom'; "
            "encode it as numbers, or choose other columns (--features, --target)",
        ),
        (
            "a,b\n1,\n2,NA\n",
            "data.csv, line 2, column 'b': no row has a value; "
            "fill it in, or choose other columns (--features, --target)",
        ),
        (
            "a,b\n1," + "x" * 99 + "\n2,3\n",
            f"data.csv, line 2, column 'b': '{'x' * 57}...' is not a number; "
            "write a number such as 3.5, or remove the row",
        ),
    ],
)
def test_what_is_wrong_where_and_how_to_mend_it(text: str | bytes, message: str) -> None:
    assert complaint(text) == message


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "\ufeffa,b\r\n1,2\r\n3,4",
        "\n\na,b\n\n1,2\n   \n3,4\n\n\n",
        "a;b\n1;2\n3;4\n",
        "a\tb\n1\t2\n3\t4\n",
        'a , "b"\n 1, "2"\n3 ,+4.0e0\n',
    ],
)
def test_what_is_accepted(text: str) -> None:
    table = read_text(text)
    assert table.columns == ("a", "b")
    assert table.values.tolist() == [[1, 2], [3, 4]]


def test_lines_count_the_lines_within_cells_and_between_rows() -> None:
    table = read_text('id,"a\nb"\nx,1\n"y\nz\n",2\n\n\nw,3\n', ["a\nb"])
    assert table.lines == (3, 4, 9)
    assert table.values.tolist() == [[1], [2], [3]]


def test_no_such_column() -> None:
    text = "bill_mm,body_mass_g\n1,2\n"
    message = complaint(text, ["BODY_MASS"])
    assert message == (
        "data.csv has no column 'BODY_MASS'; did you mean 'body_mass_g'? "
        "its columns are 'bill_mm', 'body_mass_g'"
    )
    assert complaint(text, ["zz"]) == "data.csv has no column 'zz'; its columns are 'bill_mm', 'body_mass_g'"
    wide = ",".join(f"c{i}" for i in range(25))
    assert complaint(wide + "\n", ["zz"]).endswith("'c18', 'c19' and 5 more")
    with pytest.raises(DataError, match="has no column 'zz'; its columns are"):
        read_text(text).column("zz")
    with pytest.raises(DataError, match="has no column 'bill'; did you mean 'bill_mm'"):
        read_text(text).select(["body_mass_g", "bill"])


# What least squares needs


def table_of(**columns: Sequence[float]) -> Table:
    values = np.array(list(columns.values()), dtype=np.float64).T
    return Table(Path("data.csv"), tuple(columns), values, tuple(range(2, 2 + len(values))))


@pytest.mark.parametrize(
    ("table", "features", "message"),
    [
        (
            table_of(y=[1, 2]),
            [],
            "data.csv has no features beside the target 'y'; add a column to predict it from",
        ),
        (
            table_of(a=[1, 2, 3], y=[1, 2, 4]),
            ["a", "y"],
            "data.csv: column 'y' is used twice among features and target; name it once",
        ),
        (
            table_of(a=[1, 2, 3], y=[1, 2, 4]),
            ["a", "b"],
            "data.csv has no column 'b'; its columns are 'a', 'y'",
        ),
        (
            table_of(a=[1], y=[1]),
            ["a"],
            "data.csv has only 1 row of data; a regression needs at least two",
        ),
        (
            table_of(a=[1, 2, 3], b=[0.1, 0.1, 0.1], y=[1, 2, 4]),
            ["a", "b"],
            "data.csv, column 'b': constant, 0.1 in every row, as the intercept is already; "
            "leave it out of the features (--features)",
        ),
        (
            table_of(a=[1, 2, 3], y=[7, 7, 7]),
            ["a"],
            "data.csv, column 'y': constant, 7 in every row, so there is nothing to learn; "
            "choose another (--target)",
        ),
        (
            table_of(a=[0.3, 0.1 + 0.2], y=[1, 2]),
            ["a"],
            "data.csv, column 'a': constant, 0.3 in every row, as the intercept is already; "
            "leave it out of the features (--features)",
        ),
        (
            table_of(a=[1, 2], y=[-1e200, 1]),
            ["a"],
            "data.csv, column 'y': from -1e+200 to 1 is beyond what squares can hold; use another unit",
        ),
        (
            table_of(a=[0, 1e-200], y=[1, 2]),
            ["a"],
            "data.csv, column 'a': from 0 to 1e-200 is beyond what squares can hold; use another unit",
        ),
        (
            table_of(a=[1, 2], b=[1, 3], y=[1, 4]),
            ["a", "b"],
            "data.csv has 2 rows, too few to determine 3 parameters (2 weights and the intercept); "
            "add rows or choose fewer features (--features)",
        ),
        (
            table_of(a=[1, 2, 3, 5, 5], b=[1, 4, 9, 2, 5], c=[3, 6, 11, 4, 7], y=[1, 2, 3, 5, 4]),
            ["a", "b", "c"],
            "data.csv: column 'c' equals 'b' + 2, so least squares cannot tell these columns apart; "
            "leave one of them out of the features (--features)",
        ),
        (
            table_of(a=[1, 2, 3, 5, 5], b=[1, 4, 9, 2, 5], c=[-1, -8, -21, 4, -5], y=[1, 2, 3, 5, 4]),
            ["a", "b", "c"],
            "data.csv: column 'c' equals 2*'a' - 3*'b', so least squares cannot tell these columns apart; "
            "leave one of them out of the features (--features)",
        ),
    ],
)
def test_what_cannot_be_fitted(table: Table, features: list[str], message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_regression(table, features, "y")
    assert str(caught.value) == message


@st.composite
def independent_columns(draw: st.DrawFn) -> np.ndarray:
    """Columns in units and at offsets of their own, one of them to become the target."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = draw(st.integers(3, 8))
    rows = columns + draw(st.integers(5, 30))
    X: np.ndarray = rng.normal(size=(rows, columns)) + rng.uniform(-1e3, 1e3, columns)
    return X * 10 ** rng.uniform(-9, 9, columns)


@given(independent_columns())
def test_independent_columns_pass(data: np.ndarray) -> None:
    columns = {f"c{i}": column for i, column in enumerate(data.T)}
    check_regression(table_of(**columns), [name for name in columns if name != "c0"], "c0")


@given(independent_columns(), st.data())
def test_a_planted_combination_is_named_with_its_columns_and_no_other(
    data: np.ndarray, draw: st.DataObject
) -> None:
    columns = {f"c{i}": column for i, column in enumerate(data.T)}
    features = [name for name in columns if name != "c0"]
    parts = draw.draw(st.lists(st.sampled_from(features), min_size=1, unique=True))
    weights = draw.draw(st.lists(st.floats(0.1, 10), min_size=len(parts), max_size=len(parts)))
    columns["sum"] = np.sum(
        [weight * columns[part] / columns[part].std() for weight, part in zip(weights, parts, strict=True)],
        axis=0,
    )
    features = draw.draw(st.permutations([*features, "sum"]))
    with pytest.raises(DataError, match="cannot tell these columns apart") as caught:
        check_regression(table_of(**columns), features, "c0")
    named = {name for name in columns if f"'{name}'" in str(caught.value)}
    assert named == {*parts, "sum"}
