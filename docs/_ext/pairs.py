"""Programs of two libraries stand side by side.

A page has the program in Keras in a block `python keras`, and the program in skdeep in the Python
block after it. Hosts of Git repositories show the two one below the other.
"""

import re
from pathlib import Path

from docutils import nodes

KERAS = re.compile(r"^```python keras\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Columns(nodes.General, nodes.Element):
    """Two programs."""


class Column(nodes.General, nodes.Element):
    """One program, with the name of its library."""


def column(library, block):
    return Column("", nodes.paragraph("", library, classes=["library"]), block)


def join(app, doctree):
    """Move each program in Keras, and the block after it, into two columns."""
    source = Path(app.env.doc2path(app.env.docname)).read_text(encoding="utf-8")
    programs = {code.rstrip() for code in KERAS.findall(source)}
    blocks = [b for b in doctree.findall(nodes.literal_block) if b.astext().rstrip() in programs]
    for keras in blocks:
        parent, position = keras.parent, keras.parent.index(keras)
        ours = parent[position + 1]
        parent[position : position + 2] = [
            Columns("", column("Keras", keras.deepcopy()), column("skdeep", ours.deepcopy()))
        ]


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
    app.add_css_file("pairs.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
