"""Which backends the packages of an environment bring. Standard library only.

A package announces one in its pyproject.toml: `[project.entry-points."lenet_bench.backends"]`, `name = "package"`. The
package is a folder like those of `backends/`. Nothing of it is imported here.

Run as a file, it prints what there is in the environment that it runs in: JSON.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from pathlib import Path

GROUP = "lenet_bench.backends"


def found() -> dict[str, dict[str, str]]:
    """Backend -> `folder` of its code, `package` that brings it, `fault`, why it cannot be used, or nothing, and
    `requires`: what the package needs beside it, a line each."""
    backends: dict[str, dict[str, str]] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "a package without a name"
        folder = _folder(point.value)
        fault = "" if folder else _fault(point.name, point.value, package)
        before = backends.get(point.name)
        if before and before["folder"] != folder:
            fault = f"Two packages bring the backend {point.name!r}: {before['package']} and {package}. Uninstall one."
        needed = [line for line in (point.dist.requires or [] if point.dist else []) if "extra ==" not in line]
        backends[point.name] = {
            "folder": folder, "package": package, "fault": fault, "requires": "\n".join(needed)
        }  # fmt: skip
    return backends


def _folder(value: str) -> str:
    """The folder of a package with facts and code, where it is importable here; empty where it is none."""
    if not value.isidentifier():
        return ""
    try:
        spec = importlib.util.find_spec(value)
    except (ImportError, ValueError):
        return ""
    folder = Path(spec.origin).resolve().parent if spec and spec.origin else None
    if folder is None or not all((folder / name).is_file() for name in ("__init__.py", "backend.py")):
        return ""
    return str(folder)


def _fault(name: str, value: str, package: str) -> str:
    return (
        f"The backend {name!r} of {package} cannot be used: its entry point is {value!r}, and must be a package with "
        "__init__.py and backend.py in it, not in another package (docs/add-a-backend.md)."
    )


if __name__ == "__main__":
    print(json.dumps(found()))
