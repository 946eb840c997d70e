"""What mkdocs.yml adds to docs/: README.md as the first page, the notebooks, and the files they link to."""

import re
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)#\s]+)")


def links(text: str) -> list[str]:
    return [match[1] for match in LINK.findall(text)]


@event_priority(100)  # before the plugins, which look through the files
def on_files(files: Any, config: Any) -> Any:
    outside = {path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").glob("*.ipynb")}
    readme = (ROOT / "README.md").read_text("utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    outside |= {link for link in links(readme + contributing) if not link.startswith("docs/")}
    outside |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "tinygrad_lr/derivatives").glob("*.py")}
    outside |= {"CONTRIBUTING.md"}
    for name in sorted(outside):
        if (ROOT / name).is_file():
            files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    files.append(File.generated(config, "index.md", content=readme.replace("](docs/", "](")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The pages of docs/ lie beside examples/ and tinygrad_lr/ here, not in a folder of their own."""
    return markdown if "/" in page.file.src_uri else re.sub(r"(\]\(|\]: )\.\./", r"\1", markdown)
