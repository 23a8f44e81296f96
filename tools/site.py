"""Check the built documentation: every link leads somewhere, and every picture has a text.

`python -m tools.site docs/_build/html` prints what is wrong, and exits with 1 if anything is. With
`--browser` it also opens the pages in Chromium, which Playwright drives (`pip install playwright`;
CHROMIUM names the program, by default `chromium`): no page may write an error to the console or be
wider than a telephone, in light and in dark, and the search has to find names and topics.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

TELEPHONE = {"width": 390, "height": 844}
# What a reader looks for, and the address of a page that has to be among the results.
SEARCHES = {
    "MLPClassifier": "api/generated/skdeep.MLPClassifier.html",
    "dropout": "families/dropout_and_noise.html",
    "vanishing gradients": "gallery/gradients/vanishing_gradients.html",
    "imbalanced": "recipes/imbalanced_classes.html",
}


class Page(HTMLParser):
    """The ids, the links and the pictures of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.without_text: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what the tag has."""
        given = {name: value or "" for name, value in attributes}
        if "id" in given:
            self.ids.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in ("img", "script", "link") and (given.get("src") or given.get("href")):
            self.links.append(given.get("src") or given["href"])
        if tag == "img" and not given.get("alt", "").strip():
            self.without_text.append(given.get("src", ""))


def _pages(site: Path) -> list[Path]:
    """Return the pages of a site; _static holds templates of the theme."""
    return sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)


def problems(site: Path) -> Iterator[str]:
    """Yield what is wrong with the files of a site."""
    pages = {path.resolve(): Page(path) for path in _pages(site)}
    if not pages:
        yield f"{site} has no pages"
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        for picture in page.without_text:
            yield f"{name}: the picture {picture} has no text"
        for link in set(page.links):
            parts = urlsplit(link)
            if not (parts.scheme or parts.netloc or leads_somewhere(path, parts, pages)):
                yield f"{name}: {link} leads nowhere"


def leads_somewhere(path: Path, link: SplitResult, pages: dict[Path, Page]) -> bool:
    """Return whether a link of the page at `path` is to a file, and to a place that it has."""
    target = (path.parent / unquote(link.path)).resolve() if link.path else path
    if target.is_dir():
        target /= "index.html"
    if target not in pages:
        return target.exists()
    return not link.fragment or unquote(link.fragment) in pages[target].ids


def in_browser(site: Path) -> Iterator[str]:
    """Yield what is wrong with the pages in a browser."""
    from playwright.sync_api import sync_playwright

    program = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    if program is None:
        raise FileNotFoundError("There is no chromium on the PATH; CHROMIUM may name the program.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport=TELEPHONE, color_scheme=scheme)
            tab = context.new_page()
            errors: list[str] = []
            tab.on("console", lambda m, e=errors: e.append(m.text) if m.type == "error" else None)
            tab.on("pageerror", lambda error, e=errors: e.append(str(error)))
            for path in _pages(site):
                tab.goto(path.resolve().as_uri())
                name = path.relative_to(site)
                yield from (f"{name}, {scheme}: {error}" for error in errors)
                errors.clear()
                width = tab.evaluate("document.documentElement.scrollWidth")
                if width > TELEPHONE["width"]:
                    yield f"{name}: {width} pixels wide on a telephone"
            if scheme == "light":
                yield from _search(tab, site)
            context.close()
        browser.close()


def _search(tab, site: Path) -> Iterator[str]:
    for words, page in SEARCHES.items():
        address = (site / "search.html").resolve().as_uri()
        tab.goto(f"{address}?q={words.replace(' ', '+')}")
        try:
            tab.wait_for_selector(f'#search-results a[href*="{page}"]', timeout=10_000)
        except Exception as error:
            yield f"a search for {words!r} does not find {page}: {type(error).__name__}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.site", description=__doc__)
    parser.add_argument("site", type=Path, help="the folder of the built site")
    parser.add_argument("--browser", action="store_true", help="open the pages in Chromium too")
    options = parser.parse_args(arguments)
    found = [*problems(options.site), *(in_browser(options.site) if options.browser else ())]
    print(
        "\n".join(found) if found else "The site has no broken link, and no picture without text."
    )
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
