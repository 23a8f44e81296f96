"""Programs of two libraries stand side by side.

A page has the program in Keras (in PyTorch) in a block `python keras` (`python torch`), and the
program in skdeep in the block after it. Hosts of Git repositories show one below the other.
"""

import re
from pathlib import Path

from docutils import nodes

PROGRAM = re.compile(r"^```python (keras|torch)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMES = {"keras": "Keras", "torch": "PyTorch"}


class Columns(nodes.General, nodes.Element):
    """Two programs."""


class Column(nodes.General, nodes.Element):
    """One program, with the name of its library."""


def column(library, block):
    return Column("", nodes.paragraph("", library, classes=["library"]), block.deepcopy())


def join(app, doctree):
    """Move each program of another library, and the block after it, into two columns."""
    source = Path(app.env.doc2path(app.env.docname)).read_text(encoding="utf-8")
    libraries = {code.rstrip(): NAMES[name] for name, code in PROGRAM.findall(source)}
    for theirs in list(doctree.findall(nodes.literal_block)):
        library = libraries.get(theirs.astext().rstrip())
        if library:
            parent, i = theirs.parent, theirs.parent.index(theirs)
            pair = Columns("", column(library, theirs), column("skdeep", parent[i + 1]))
            parent[i : i + 2] = [pair]


def open_columns(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="programs"))


def open_column(translator, node):
    translator.body.append(translator.starttag(node, "div", CLASS="program"))


def close(translator, node):
    translator.body.append("</div>\n")


def setup(app):
    app.add_node(Columns, html=(open_columns, close))
    app.add_node(Column, html=(open_column, close))
    app.connect("doctree-read", join)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
