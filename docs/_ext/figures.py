"""Figures that code draws, in Markdown: a fence ```{plot} with matplotlib's plot directive.

That directive is written for reStructuredText. So the fence becomes a block of it, before MyST
reads the page.
"""

import re
import textwrap

FENCE = re.compile(
    r"^```\{plot\}\n(?P<options>(?::.*\n)*)(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)


def as_directive(match: re.Match) -> str:
    body = textwrap.indent(match["options"] + match["code"], "   ")
    return f"```{{eval-rst}}\n.. plot::\n{body}```"


def rewrite(app, docname, source):
    source[0] = FENCE.sub(as_directive, source[0])


def setup(app):
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
