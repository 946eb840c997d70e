"""Make the notebooks in examples/ of the scripts beside them, and run them.

    python docs/notebooks.py            # make and run all of them, and keep their outputs
    python docs/notebooks.py --check    # run those that are there; nothing is written

A script is a notebook if it begins with a cell, `# %% [markdown]`. Warnings are errors while a notebook runs,
and a notebook of more than 250 KB is one too. Needs `pip install 'tinygrad_lr[docs]'`.
"""

import argparse
import base64
import io
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent.parent / "examples"
LARGEST = 250_000  # bytes: what can be shown, and kept in a repository


def scripts() -> list[Path]:
    """The scripts that are notebooks as well."""
    return [p for p in sorted(EXAMPLES.glob("*.py")) if p.read_text("utf-8").startswith("# %% [markdown]")]


def made(script: Path) -> Any:
    """The notebook of a script, not yet run."""
    import jupytext  # type: ignore[import-not-found, import-untyped, unused-ignore]

    notebook = jupytext.read(script)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number}"  # the same every time: a change is seen as such
        cell.metadata = {}
    return notebook


def run(notebook: Any) -> None:
    """Run a notebook in its folder; what it shows is kept in it. An exception or a warning ends it."""
    import nbclient
    import nbformat

    strict = nbformat.v4.new_code_cell("import warnings; warnings.simplefilter('error')")
    calm = nbformat.v4.new_code_cell("warnings.resetwarnings()")  # the kernel ends with a warning of its own
    notebook.cells = [strict, *notebook.cells, calm]
    options: Any = {"kernel_name": "python3", "extra_arguments": ["--log-level=ERROR"]}
    options["coalesce_streams"] = True  # what is printed may arrive in pieces
    resources = {"metadata": {"path": str(EXAMPLES)}}
    nbclient.NotebookClient(notebook, timeout=120, resources=resources, **options).execute()
    notebook.cells = notebook.cells[1:-1]
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.execution_count = number
        cell.metadata = {}
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
            data = output.get("data", {})
            if "image/svg+xml" in data:
                data.pop("image/png", None)  # the same picture, in a form that does not scale
            elif "image/png" in data:
                data["image/png"] = smaller(data["image/png"])
            if output.get("name") == "stderr":
                raise SystemExit(f"a notebook wrote to stderr: {output.text}")


def smaller(png: str) -> str:
    """A picture in 256 colours, which are enough for a plot."""
    from PIL import Image

    made = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture.quantize(256).save(made, "png", optimize=True)
    return base64.b64encode(made.getvalue()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="run the notebooks that are there, write nothing"
    )
    parser.add_argument("names", nargs="*", help="only these: 1 for 1_engine.py")
    options = parser.parse_args()

    import nbformat

    for script in scripts():
        if options.names and not script.name.startswith(tuple(f"{name}_" for name in options.names)):
            continue
        path = script.with_suffix(".ipynb")
        notebook = nbformat.read(path, 4) if options.check else made(script)
        run(notebook)
        text = nbformat.writes(notebook)
        print(f"{path.name}: {len(text) / 1000:.0f} KB")
        if len(text) > LARGEST:
            raise SystemExit(f"{path.name} is too large: show less in it")
        if not options.check:
            path.write_text(text + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
