"""What mkdocs.yml adds to docs/: README.md as the first page, the notebooks, and the files they link to.

And the links of the site as it was made: MkDocs looks at those of Markdown only, not of notebooks and HTML.
"""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
#: formulas, and code, in which a dollar is a dollar
MATH = re.compile(
    r"<(pre|code|script|iframe|svg)\b.*?</\1>|<img[^>]*>|\$\$(.+?)\$\$|\\\((.+?)\\\)|\$([^$\n<>][^$<>]*?)\$",
    re.DOTALL,
)
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


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Formulas as MathML, which needs no library from elsewhere; and links between notebooks."""

    def drawn(match: re.Match[str]) -> str:
        display, *inline = match.groups()[1:]
        formula = display or next(filter(None, inline), None)
        if formula is None:
            return match[0]
        return convert(unescape(formula), display="block" if display else "inline")

    if page.file.src_uri.endswith(".ipynb"):
        html = re.sub(r'href="(\w+)\.ipynb"', r'href="../\1/"', html)
        html = re.sub(r'href="\.\./docs/(\w+)\.md"', r'href="../../\1/"', html)
    return MATH.sub(drawn, html)


class Page(HTMLParser):
    """The links of a page, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = {""}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.append(value)
            elif value and name == "id":
                self.ids.add(value)


def on_post_build(config: Any) -> None:
    site = Path(config.site_dir).resolve()
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            target = target / "index.html" if target.is_dir() else target
            known = pages[target].ids if target in pages else {unquote(url.fragment)}
            if not target.exists() or unquote(url.fragment) not in known:
                broken.append(f"{path.relative_to(site)}: {link}")
    if not pages or broken:
        raise PluginError("broken links:\n" + "\n".join(sorted(set(broken))))
