"""What a run may be called: the name is a folder's, and stands in tables, pages and cells."""

from __future__ import annotations

from harness.visible import quoted, silent

# A folder's name may have 255 bytes; commands add endings to it, and files beside it beginnings.
MOST_BYTES = 200


def name_fault(name: str) -> str:
    """What is wrong with the name of a run, the end of a sentence; nothing where it is right."""
    if not name.strip():
        return "is empty"
    if "/" in name or "\\" in name or name in (".", ".."):
        return "would lead to another folder"
    if found := silent(name):
        return f"has a character that cannot be seen ({found.encode('unicode_escape').decode()})"
    if name[0].isspace() or name[-1].isspace():
        return "begins or ends with a space"
    if quoted(name) != name or not (name[0].isalnum() or name[0] == "_"):
        return f"begins with {name[0]}"
    if len(name.encode()) > MOST_BYTES:
        return f"has {len(name.encode()):,} bytes, and {MOST_BYTES} are the most"
    return ""
