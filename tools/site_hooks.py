"""What MkDocs calls while it builds the site: adds the pages that are made, and mends links into the repository."""

from __future__ import annotations

from typing import Any

import site_pages  # MkDocs loads hooks with their folder on the path
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made, and the files of the repository that pages link to."""
    pages = site_pages.made()
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    for page, file in site_pages.repository_files(pages | site_pages.written()).items():
        if page.endswith(".md"):
            files.append(File.generated(config, page, content=site_pages.source_page(file)))
        else:
            files.append(File.generated(config, page, abs_src_path=str(site_pages.ROOT / file)))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Links of pages under docs/ into the repository lead to its files in the site."""
    if page.file.generated_by is not None:
        return markdown
    return site_pages.relinked(markdown, f"docs/{page.file.src_uri}")
