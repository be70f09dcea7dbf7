"""Text from outside, made so that it can do nothing but be read.

Names, versions and error messages come from options, from files that people pass on, and from what frameworks print.
"""

from __future__ import annotations

import re
import unicodedata

# Behind one of these a spreadsheet computes (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
# Control and format characters, among them terminals' escapes and what turns the direction of text round; halves of
# surrogate pairs; line ends that only some take for one.
_SILENT = ("Cc", "Cf", "Cs", "Zl", "Zp")
_KEPT = "\n\t"


def visible(text: str) -> str:
    r"""Return the text with every character that is not seen but does something as its escape, `\x1b` say.

    Line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(_shown(each) for each in text)


def silent(text: str) -> str:
    """Return the first character of a text that is not seen but does something, tabs and line ends too; or nothing."""
    return next((each for each in text if unicodedata.category(each) in _SILENT), "")


def _shown(each: str) -> str:
    if each in _KEPT or unicodedata.category(each) not in _SILENT:
        return each
    return each.encode("unicode_escape").decode("ascii")


def quoted(cell: str) -> str:
    """Return a cell of a CSV that no spreadsheet takes for a formula: with an apostrophe before it, if it need be."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def unquoted(cell: str) -> str:
    """The inverse of `quoted`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
