"""Links of the pages to files outside docs/ lead to the pages that the site has of them.

The pages are read on Git hosts too, so their links are paths of files: `../examples/quickstart.py`.
"""

import re

from docutils import nodes

EXAMPLE = re.compile(r"\]\((?:\.\./)+examples/([\w/]+)\.py\)")
README = re.compile(r"\]\((?:\.\./)*README\.md(?:#[^)]*)?\)")  # its sections are pages of the site
PAGES = {"CHANGELOG.md": "changelog", "benchmarks/RESULTS.md": "results"}
PAGE = re.compile(r"\]\((?:\.\./)*(" + "|".join(map(re.escape, PAGES)) + r")(#[^)]*)?\)")
MODULE = re.compile(r"\]\((?:\.\./)+(skdeep/[\w/]+?)(?:/__init__)?\.py\)")  # in the reference
# Sections of scikit-learn's user guide that docstrings inherited from it refer to.
USER_GUIDE = "https://scikit-learn.org/stable/"


def rewrite(app, docname, source):
    text = EXAMPLE.sub(r"](/gallery/\1.rst)", source[0])
    text = README.sub("](/index.md)", text)
    text = MODULE.sub(lambda match: f"](/api/{match[1].replace('/', '.')}.rst)", text)
    source[0] = PAGE.sub(lambda match: f"](/{PAGES[match[1]]}.md{match[2] or ''})", text)


def of_scikit_learn(app, env, node, contnode):
    """Resolve a reference in a docstring that is inherited from scikit-learn."""
    kind, target = node.get("reftype"), node.get("reftarget")
    if not node.get("refdoc", "").startswith("api/") or kind not in ("ref", "term"):
        return None
    page = f"glossary.html#term-{target}" if kind == "term" else f"{target}.html"
    return nodes.reference("", "", contnode, refuri=USER_GUIDE + page, internal=False)


def setup(app):
    app.connect("source-read", rewrite)
    app.connect("missing-reference", of_scikit_learn)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
