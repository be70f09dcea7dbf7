"""`lenet-bench new-backend`: a package to fill in, which `verify` refuses with the next step until it is right."""

from __future__ import annotations

import keyword
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import InputError, unknown
from harness.worker import places

SKELETON = Path(__file__).parent / "skeleton"
# What is written of which template; @PACKAGE@ is the package's folder.
FILES = {
    "pyproject.toml": "pyproject.txt", "@PACKAGE@/__init__.py": "facts.txt", "@PACKAGE@/model.py": "model.txt",
    "@PACKAGE@/weights.py": "weights-@LIKE@.txt", "@PACKAGE@/backend.py": "backend.txt",
}  # fmt: skip
# What a framework that is like one of these does otherwise than one like the other.
LIKE = {
    "torch": {
        "MODE": "eager", "LAYOUT": "N,C,H,W, so canonical weights are native weights", "SHORT": "NCHW",
        "IMAGES": "(n, c, h, w)", "KERNELS": "(out, in, kh, kw)", "DENSE": "(out, in) transposed",
        "HINT": "A tape: let the weights ask for gradients, compute the loss, go back from it, and take the gradients.",
    },
    "jax": {
        "MODE": "jit", "LAYOUT": "N,H,W,C; kernels (kh, kw, in, out), dense (in, out), rows behind Flatten in H,W,C",
        "SHORT": "NHWC", "IMAGES": "(n, h, w, c)", "KERNELS": "(kh, kw, in, out)", "DENSE": "(in, out)",
        "HINT": "A function: turn weights -> loss into one that returns gradients, too; compile it once, not here.",
    },
}  # fmt: skip


def new_backend(
    name: Annotated[str, typer.Argument(help="The backend's name: small letters, digits and _.", metavar="NAME")],
    like: Annotated[
        str, typer.Option("--like", help="torch: images in N,C,H,W, and a tape; jax: N,H,W,C, and functions.")
    ] = "torch",
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="Folder to write the package into.")] = Path("."),
) -> None:
    """Write the package of a backend of your own, to be filled in.

    `lenet-bench verify` then says at every step what to write next, and where, until the backend is right. The tutorial
    (docs/add-a-backend.md) fills the package in.

    Examples:

    - `lenet-bench new-backend mine`
    - `lenet-bench new-backend mine --like jax --into ~/src`
    """
    if like not in LIKE:
        raise unknown("framework for --like", like, LIKE)
    check(name)
    package, dashed = f"{name}_lenet_bench", name.replace("_", "-")
    folder = into / f"{dashed}-lenet-bench"
    if folder.exists():
        raise InputError(f"{folder} is there already, and was left as it is. Give another name, or another --into.")
    words = LIKE[like] | {"NAME": name, "PACKAGE": package, "DASHED": dashed, "LIKE": like}
    try:
        for file, template in FILES.items():
            target = folder / filled(file, words)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = (SKELETON / filled(template, words)).read_text(encoding="utf-8")
            target.write_text(filled(text, words), encoding="utf-8")
    except OSError as error:
        raise InputError(f"Cannot write {folder}: {error.strerror}. Give a folder that you may write to.") from None
    print(f"Wrote {folder}. Next, with your framework's name in its pyproject.toml and {package}/__init__.py:")
    print(f"  python{sys.version_info.major}.{sys.version_info.minor} -m venv {name}-env")
    print(f"  {name}-env/bin/pip install -e {folder}")
    print(f"  lenet-bench backend add {name} --python {name}-env/bin/python")
    print(f"  lenet-bench verify -b {name}")


def check(name: str) -> None:
    """Refuse a name that is none, or taken.

    Raises:
        InputError: with the reason.
    """
    if not places.NAME.fullmatch(name) or keyword.iskeyword(name) or name == "all":
        raise InputError(f"{name!r} can be no backend's name. Give small letters, digits and _, a letter first.")
    if name in places.names():
        raise InputError(f"There is a backend {name!r} already ({places.folder_of(name)}). Give another name.")


def filled(text: str, words: dict[str, str]) -> str:
    """A template with its words, `@NAME@` for instance, filled in."""
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
