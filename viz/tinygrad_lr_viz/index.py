"""One page that shows the pictures of a run together."""

from collections.abc import Mapping
from html import escape
from urllib.parse import quote

from .markup import asset, escaped, filled

__all__ = ["index_page"]


def index_page(
    title: str, introduction: str, report: str, files: Mapping[str, str], missing: Mapping[str, str]
) -> str:
    """A page for a folder: pictures in their place, an explanation in a frame, and links to all files.

    Parameters
    ----------
    title, introduction : what was done, in a few words and in a sentence.
    report : what came out, as lines of text.
    files : the names of the files in the folder, and what each of them holds. Those that end in ``.svg`` are
        shown as pictures, those in ``.html`` in frames.
    missing : the names of files that could not be made, and why.

    >>> page = index_page("Learning y from x", "", "", {"curves.svg": "losses"}, {})
    >>> '<img src="curves.svg" alt="losses">' in page
    True
    """

    def link(name: str, content: str) -> str:
        return f'<a href="{quote(name)}">{content}</a>'

    pictures = [
        f'<figure>{link(name, f"""<img src="{quote(name)}" alt="{escape(what)}">""")}'
        f"<figcaption>{escaped(what)}</figcaption></figure>"
        for name, what in files.items()
        if name.endswith(".svg")
    ]
    frames = [
        f'<section id="explanation"><h2>{escaped(what[:1].upper() + what[1:])}</h2>'
        f"<p>{link(name, 'On a page of its own')}</p>"
        f'<iframe src="{quote(name)}" title="{escape(what)}"></iframe></section>'
        for name, what in files.items()
        if name.endswith(".html")
    ]
    items = [f"<li>{link(name, escaped(name))}: {escaped(what)}</li>" for name, what in files.items()]
    return filled(
        "index.html",
        title=escaped(title),
        style=asset("theme.css") + asset("index.css"),
        introduction=escaped(introduction),
        report=escaped(report),
        missing="\n".join(f"<p>No {escaped(name)}: {escaped(why)}</p>" for name, why in missing.items()),
        pictures="\n".join(pictures),
        explanation="\n".join(frames),
        files="\n".join(items),
    )
