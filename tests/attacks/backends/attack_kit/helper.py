"""`python -m backends.attack_kit.helper SOCKET`: the process that cheats leave their work to."""

from __future__ import annotations

import sys

from harness.worker import catalogue

if __name__ == "__main__":
    catalogue.names()
    from backends.attack_kit.cheats_others import serve

    serve(sys.argv[1])
