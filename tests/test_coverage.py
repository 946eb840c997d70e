"""docs/derivatives.md is true: each of NumPy's functions is in it, as what the table of derivatives says."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tinygrad_lr.derivatives import DERIVATIVES


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("docs_derivatives", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


docs = load(Path(__file__).parent.parent / "docs" / "derivatives.py")
TEXT = docs.FILE.read_text()
NOW = docs.text(TEXT)  # before any test runs: some replace rows by the like


def test_the_file_is_up_to_date() -> None:
    assert NOW == TEXT, "docs/derivatives.md is out of date: run `python docs/derivatives.py`"


@pytest.mark.parametrize("module", [np, np.linalg, np.fft], ids=lambda module: module.__name__)
def test_every_function_is_in_the_file_once(module: ModuleType) -> None:
    section = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    [lines] = [s.splitlines()[1:] for s in section if s.startswith(module.__name__ + "\n")]
    found = [
        name for line in lines if line.startswith("| `") for name in re.findall("`(.*?)`", line.split("|")[1])
    ]
    assert len(found) == len(set(found))
    wanted = {
        name
        for name in dir(module)
        if callable(value := getattr(module, name))
        and not isinstance(value, type)
        and not name.startswith("_")
        and (name != "test" or module is np)  # runs the tests of the module
    }
    absent = {name for name in docs.VERSIONS if not hasattr(module, name)} if module is np else set()
    assert set(found) == wanted | absent


def test_versions() -> None:
    """What the file says about which NumPy has a function is so for the one in use."""
    here = tuple(map(int, np.__version__.split(".")[:2]))
    for name, version in docs.VERSIONS.items():
        word, number = version.split()
        since = here >= tuple(map(int, number.split(".")))
        assert hasattr(np, name) == (since if word == "from" else not since), name


def test_reasons_are_for_functions_that_there_are() -> None:
    names = " ".join(docs.REASONS.values()).split()
    assert len(names) == len(set(names))
    for name in names:
        module = np.fft if name.startswith("fft.") else np
        assert hasattr(module, name.removeprefix("fft.")) or name in docs.VERSIONS, name


def test_a_new_function_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "brand_new", lambda x: x, raising=False)
    monkeypatch.setattr(np, "brand_old", lambda x: -x, raising=False)
    monkeypatch.setattr(np, "__all__", [*np.__all__, "brand_new", "brand_old"])
    with pytest.raises(LookupError, match=r"np\.brand_new has neither a row nor a reason.*np\.brand_old"):
        docs.text(TEXT)


def test_a_row_for_what_was_not_covered_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DERIVATIVES, np.packbits, DERIVATIVES[np.exp])
    with pytest.raises(LookupError, match=r"np\.packbits has both a row and a reason"):
        docs.text(TEXT)


def test_a_row_that_is_no_more_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(DERIVATIVES, np.linalg.det)
    with pytest.raises(LookupError, match=r"np\.linalg\.det has neither"):
        docs.text(TEXT)


def test_what_another_numpy_has_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    before = docs.text(TEXT)
    monkeypatch.delattr(np, "unstack", raising=False)
    monkeypatch.setattr(np, "__all__", [name for name in np.__all__ if name != "unstack"])
    assert docs.text(TEXT) == before
