"""Formulas as MathML, which browsers draw without scripts from other servers."""

from html import escape

from docutils import nodes
from latex2mathml.converter import convert


def visit_math(self, node):
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_block(self, node):
    number = ""
    if node.get("number"):
        number = f'<span class="eqno">({escape(str(node["number"]))})</span>'
    formula = convert(node.astext(), display="block")
    self.body.append(f'<div class="math">{number}{formula}</div>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
