r"""A CSV file of numbers as a float64 array, and one clear line for whatever is wrong with it.

Only the columns that are asked for are turned into numbers, so a file may hold text beside them:

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     path = Path(folder, "pets.csv")
...     _ = path.write_text("name,age,mass\nRex,3,20.5\nTom,5,4\n")
...     table = read_table(path, ["age", "mass"])
>>> table.column("mass").tolist()
[20.5, 4.0]
>>> table.lines
(2, 3)
"""

import csv
import difflib
import io
import math
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_DELIMITERS = ",;\t"
_MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "missing", "-", "--", "?", "."}


class DataError(ValueError):
    """Data that cannot be used: one line with the file, the line and column, what is wrong and the mend."""


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of numbers.

    `values` has the shape (rows, columns); row `i` begins in line `lines[i]` of the file, counted from 1.
    """

    path: Path
    columns: tuple[str, ...]
    values: NDArray[np.float64]
    lines: tuple[int, ...]

    def column(self, name: str) -> NDArray[np.float64]:
        """The numbers of one column, shape (rows,).

        Raises DataError if there is no such column.
        """
        return self.select([name]).values[:, 0]

    def select(self, names: Sequence[str]) -> "Table":
        """The table with these columns only, in this order.

        Raises DataError if there is no such column.

        >>> table = Table(Path("t.csv"), ("a", "b"), np.array([[1.0, 2.0], [3.0, 4.0]]), (2, 3))
        >>> table.select(["b", "a"]).values.tolist()
        [[2.0, 1.0], [4.0, 3.0]]
        """
        positions = _positions(self.path, self.columns, names)
        return Table(self.path, tuple(names), self.values[:, positions], self.lines)


def read_table(path: str | Path, columns: Sequence[str] | None = None, others: bool = True) -> Table:
    """Read a CSV file with a header row; `columns` are the ones to read as numbers, all of them if None.

    The file is UTF-8, with or without a byte order mark. Its cells are separated by commas, semicolons or
    tabs, whichever gives most of the first 100 rows as many cells as the header. Blank lines are skipped,
    spaces around names and numbers are dropped. A number is what `float` reads, if finite and without "_".
    `others` tells whether the message about a column of text may advise to choose others.

    Raises DataError if the file cannot be read, is no such table, or holds anything but numbers in `columns`.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "pets.csv")
    ...     _ = path.write_text("name;age\\nRex;3\\nTom;5\\n")
    ...     read_table(path, ["age"]).values.tolist()
    [[3.0], [5.0]]
    """
    path = Path(path)
    text = _read_text(path)
    delimiter = _delimiter(text)
    records = _records(path, text, delimiter)
    names = _header(path, records)
    wanted = names if columns is None else tuple(columns)
    positions = _positions(path, names, wanted)

    lines: list[int] = []
    numbers = array("d")
    for line, cells in records:
        if cells == [""] and len(names) > 1:  # a line of spaces
            continue
        if len(cells) != len(names):
            raise DataError(f"{path}, line {line}, {_wrong_length(cells, names, delimiter)}")
        for name, position in zip(wanted, positions, strict=True):
            number = _number(cells[position])
            if number is None:
                # Only a column whose first cell is no number can be text throughout.
                rest = (row[position] for _, row in records if len(row) > position)
                cell = cells[position]
                problem = (not lines and _text_column(cell, rest, others)) or _bad_cell(cell)
                raise DataError(f"{path}, line {line}, column {_quote(name)}: {problem}")
            numbers.append(number)
        lines.append(line)
    if not lines:
        raise DataError(f"{path} holds only a header; add rows of numbers below it")
    return Table(path, wanted, np.array(numbers).reshape(len(lines), len(wanted)), tuple(lines))


def read_header(path: str | Path) -> tuple[str, ...]:
    """The names of the columns of a CSV file, as `read_table` understands it.

    Raises DataError if the file cannot be read, or has no header row.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "pets.csv")
    ...     _ = path.write_text("name,age\\nRex,3\\n")
    ...     read_header(path)
    ('name', 'age')
    """
    path = Path(path)
    text = _read_text(path)
    return _header(path, _records(path, text, _delimiter(text)))


def check_regression(table: Table, features: Sequence[str], target: str) -> None:
    """Raise DataError unless least squares determines every coefficient of `target` on `features`.

    That needs at least as many rows as parameters (a weight for each feature, and the intercept), columns
    that vary, and no feature that is a linear combination of others and a constant. Of such a combination the
    error names the columns that it takes, none of which could be left out of it.

    >>> t = np.array([[20.0, 68, 3], [25, 77, 4], [30, 86, 7]])
    >>> table = Table(Path("oven.csv"), ("celsius", "fahrenheit", "rise"), t, (2, 3, 4))
    >>> check_regression(table, ["celsius", "fahrenheit"], "rise")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tinygrad_lr.tables.DataError: oven.csv: column 'fahrenheit' equals 1.8*'celsius' + 32, so ...
    """
    path = table.path
    if not features:
        raise DataError(
            f"{path} has no features beside the target {_quote(target)}; add a column to predict it from"
        )
    names = [*features, target]
    for name in names:
        if names.count(name) > 1:
            raise DataError(
                f"{path}: column {_quote(name)} is used twice among features and target; name it once"
            )
    data = table.select(names).values
    rows, parameters = data.shape  # one weight for each feature, and the intercept
    if rows < 2:
        raise DataError(f"{path} has only {rows} row of data; a regression needs at least two")
    for name, column in zip(names, data.T, strict=True):
        _check_variation(path, name, column, is_target=name == target)
    if rows < parameters:
        raise DataError(
            f"{path} has {rows} rows, too few to determine {parameters} parameters "
            f"({len(features)} weights and the intercept); add rows or choose fewer features (--features)"
        )
    combination = _collinear(data[:, :-1], features)
    if combination:
        raise DataError(
            f"{path}: {combination}, so least squares cannot tell these columns apart; "
            "leave one of them out of the features (--features)"
        )


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a directory; name a CSV file in it") from None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); check its name and permissions"
        ) from error
    mend = "save the table as CSV in UTF-8"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{path}, line {_line_at(data, error.start)}"
        raise DataError(f"{where}: byte 0x{data[error.start]:02x} is not UTF-8; {mend}") from None
    if not text.strip():
        raise DataError(f"{path} is empty; it needs a header row with column names, then rows of numbers")
    if "\0" in text:
        where = f"{path}, line {_line_at(data, data.index(0))}"
        raise DataError(f"{where}: a NUL byte, which no text holds; {mend}")
    return text


def _line_at(data: bytes, position: int) -> int:
    return len((data[:position] + b"x").splitlines())


def _delimiter(text: str) -> str:
    """The delimiter that gives most of the first rows as many cells as the header.

    If none does so for any row: the one that at least splits most of them, for the error to make sense.
    """

    def fit(delimiter: str) -> tuple[int, int]:
        rows: list[list[str]] = []
        with suppress(csv.Error):  # quotes never closed: the reading itself reports them
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
            rows += islice(reader, 100)
        header, *lengths = [len(row) for row in rows if row not in ([], [""])] or [1]
        return (lengths.count(header), sum(n > 1 for n in lengths)) if header > 1 else (0, 0)

    return max(_DELIMITERS, key=fit)


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, with the line in which it begins (quoted cells may span lines)."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}, line {line}: the row cannot be split into cells ({error}); "
            'close each quote, and write a quote inside a quoted cell as ""'
        ) from None


def _header(path: Path, records: Iterator[tuple[int, list[str]]]) -> tuple[str, ...]:
    line, cells = next((record for record in records if record[1] != [""]), (1, [""]))
    where = f"{path}, line {line}"
    names = tuple(cell.strip() for cell in cells)
    named = [name for name in names if name]
    if named and all(_number(name) is not None for name in named):
        shown = ", ".join(named[:3])
        raise DataError(
            f"{where}: the header is missing, this row holds numbers ({shown}); put the column names above"
        )
    for position, name in enumerate(names, 1):
        if not name:
            raise DataError(
                f"{where}: column {position} has no name; name it, or remove it "
                "(a delimiter at the end of the line makes such a column, and so does a saved row index)"
            )
        first = names.index(name) + 1
        if first < position:
            raise DataError(
                f"{where}: columns {first} and {position} are both named {_quote(name)}; rename one"
            )
    return names


def _positions(path: Path, columns: Sequence[str], names: Sequence[str]) -> list[int]:
    for name in names:
        if name not in columns:
            folded = {column.casefold(): column for column in columns}
            close = difflib.get_close_matches(name.casefold(), folded, n=1)
            guess = f"; did you mean {_quote(folded[close[0]])}?" if close else ";"
            listed = ", ".join(_quote(column) for column in columns[:20])
            more = f" and {len(columns) - 20} more" if len(columns) > 20 else ""
            raise DataError(f"{path} has no column {_quote(name)}{guess} its columns are {listed}{more}")
    return [columns.index(name) for name in names]


def _wrong_length(cells: list[str], names: Sequence[str], delimiter: str) -> str:
    if len(cells) < len(names):
        count = f"{len(cells)} of {len(names)} cells"
        return f"column {_quote(names[len(cells)])}: the row ends after {count}; fill in the others"
    surplus, last = cells[len(names) :], f"column {_quote(names[-1])}"
    if not any(surplus):
        count = f"{len(surplus)} empty cell{'s' if len(surplus) > 1 else ''}"
        return f"{last}: the row goes on with {count}; remove each {delimiter!r} after this column"
    return (
        f"after {last}: {_quote(surplus[0])} is too many, {len(cells)} cells for {len(names)} columns; "
        f"write 3.5 for 3,5 and 1234 for 1,234, and put quotes around text that holds {delimiter!r}"
    )


def _number(cell: str) -> float | None:
    """The number in a cell, None if there is none or it is not finite."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in cell else None


def _text_column(first: str, rest: Iterable[str], others: bool) -> str | None:
    """What to say of a column whose first cell is no number, if no other cell is one or is meant as one."""
    cells = [first, *rest]
    if any(_number(cell) is not None or _intended(cell) for cell in cells):
        return None
    text = next((cell for cell in cells if cell.strip().lower() not in _MISSING), None)
    problem = (
        "no row has a value" if text is None else f"no row has a number, the first text is {_quote(text)}"
    )
    mend = "fill it in" if text is None else "encode it as numbers"
    choice = ", or choose other columns (--features, --target)" if others else ", as it was when fitted"
    return f"{problem}; {mend}{choice}"


def _bad_cell(cell: str) -> str:
    if not cell.strip():
        return "the cell is empty; fill it in or remove the row"
    if cell.strip().lower() in _MISSING:
        return f"{_quote(cell)} stands for a missing value; fill it in or remove the row"
    with suppress(ValueError):
        if math.isinf(float(cell)):
            return f"{_quote(cell)} is infinite as a float64; correct it or remove the row"
    intended = _intended(cell)
    return f"{_quote(cell)} is not a number; write {intended or 'a number such as 3.5, or remove the row'}"


def _intended(cell: str) -> str | None:
    """How to write a number that was written with separators of thousands or a decimal comma."""
    text = re.sub(r"[\s_'\u2019]", "", cell)
    if re.fullmatch(r"[+-]?\d{1,3},\d{3}", text):
        return f"{text.replace(',', '')}, or {text.replace(',', '.')} if the comma is a decimal comma"
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", text):
        return text.replace(",", "")
    if re.fullmatch(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+", text):
        return text.replace(".", "").replace(",", ".")
    return text if _number(text) is not None else None


def _quote(text: str) -> str:
    """A name or a cell within an error: in quotes, on one line, shortened."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _check_variation(path: Path, name: str, column: NDArray[np.float64], *, is_target: bool) -> None:
    where = f"{path}, column {_quote(name)}"
    low, high = float(column.min()), float(column.max())
    largest = max(-low, high)
    # Squares and their sums must neither overflow nor vanish.
    if largest > 1e100 or 0 < high - low < 1e-100:
        raise DataError(
            f"{where}: from {low:g} to {high:g} is beyond what squares can hold; use another unit"
        )
    if high - low <= 4 * np.finfo(np.float64).eps * largest:
        problem = f"constant, {low:g} in every row"
        if is_target:
            raise DataError(f"{where}: {problem}, so there is nothing to learn; choose another (--target)")
        raise DataError(
            f"{where}: {problem}, as the intercept is already; leave it out of the features (--features)"
        )


def _collinear(X: NDArray[np.float64], names: Sequence[str]) -> str | None:
    """The first column that is a linear combination of earlier ones and a constant, as an equation.

    With X = QR, columns centred and of length 1, |R[j, j]| is the distance of column j from the span of the
    earlier ones, as long as those are independent (Golub and Van Loan, Matrix Computations, section 5.2).
    """
    mean = X.mean(axis=0)
    centred = X - mean
    length = np.linalg.norm(centred, axis=0)
    _, R = np.linalg.qr(centred / length)
    # A column that is large against its variation is itself known only to this precision.
    rounding = np.finfo(np.float64).eps * np.max(np.abs(X).max(axis=0) * np.sqrt(len(X)) / length)
    tolerance = min(1e-10 + 10 * rounding, 1e-3)
    dependent = np.flatnonzero(np.abs(np.diag(R)) <= tolerance)
    if not dependent.size:
        return None
    last = int(dependent[0])

    def combine(columns: list[int]) -> tuple[NDArray[np.float64], float]:
        weights = np.linalg.lstsq(R[:, columns], R[:, last])[0]
        return weights, float(np.linalg.norm(R[:, last] - R[:, columns] @ weights))

    involved = list(range(last))
    for candidate in range(last):
        fewer = [column for column in involved if column != candidate]
        if combine(fewer)[1] <= tolerance:
            involved = fewer
    slopes = combine(involved)[0] * length[last] / length[involved]
    intercept = mean[last] - mean[involved] @ slopes
    terms = [(slope, f"*{_quote(names[column])}") for slope, column in zip(slopes, involved, strict=True)]
    if abs(intercept) > 1e-9 * np.abs(X[:, last]).max():
        terms.append((intercept, ""))
    equation = " ".join(
        f"{'-' if factor < 0 else '+'} {f'{abs(factor):.6g}{name}'.removeprefix('1*')}"
        for factor, name in terms
    )
    return f"column {_quote(names[last])} equals {equation.removeprefix('+ ')}"
