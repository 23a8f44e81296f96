"""Give the thumbnails of the gallery texts, for readers who do not see them."""

from pathlib import PurePosixPath

from docutils import nodes

THUMBNAIL = "_thumb"


def name_thumbnails(app, doctree) -> None:
    for image in doctree.findall(nodes.image):
        name = PurePosixPath(image["uri"]).stem
        if name.endswith(THUMBNAIL) and not image.get("alt"):
            title = name.removeprefix("sphx_glr_").removesuffix(THUMBNAIL).replace("_", " ")
            image["alt"] = f"Small picture of the example: {title}"


def setup(app):
    app.connect("doctree-read", name_thumbnails)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
