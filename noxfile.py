"""Every job of the project, each in environments that it makes itself: nox -l lists them.

One environment for the harness and one for each backend, under .nox/<python version>/, made on first use, reused
while its pins are the same. Packages are installed by pip, not by uv, because only pip reads the user's pip
configuration, where a machine may have its own index or CPU wheels.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests"]
nox.options.error_on_external_run = False

ROOT = Path(__file__).parent
FRAMEWORKS = ("torch", "tensorflow", "jax", "mxnet", "paddle")
BACKENDS = (*FRAMEWORKS, "numpy")
# One interpreter has wheels for all five frameworks; another can be asked for: LENET_BENCH_PYTHON=3.12 nox -s ...
PYTHON = os.environ.get("LENET_BENCH_PYTHON", "3.11")
# What wheels expect of the system beside a C and C++ library.
# Frameworks with other wheels for a GPU: requirements/<name>-gpu.in. MXNet has none for today's.
GPU_WHEELS = ("torch", "tensorflow", "jax", "paddle")
SYSTEM_LIBRARIES = {"mxnet": ("libgomp.so.1", "libquadmath.so.0"), "paddle": ("libgomp.so.1",)}
# What the trial of a GPU is about.
OF_TRIAL = ("torch", "jax")
# Rooms of what pandas is used for.
OF_TABLES = ("results", "analysis", "tables")
# Of the workers that are tested.
QUIET = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "1"}
ENVIRONMENTS = ROOT / ".nox" / PYTHON


def find_python(session: nox.Session) -> str:
    """Return an interpreter of the wanted version: this one, one on the PATH, or one that uv fetches."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" == PYTHON:
        return sys.executable
    name = f"python{PYTHON}"
    for folder in os.get_exec_path():
        # A pyenv shim is on the PATH also for versions that are not switched on: ask it.
        found = shutil.which(name, path=folder)
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    uv = shutil.which("uv")
    if uv:
        session.log(f"{name} is not on the PATH; asking uv for it.")
        subprocess.run([uv, "python", "install", PYTHON])
        answer = subprocess.run([uv, "python", "find", PYTHON], capture_output=True, text=True)
        if answer.returncode == 0:
            return answer.stdout.strip()
    session.error(
        f"Python {PYTHON} is needed and was not found. Install it (python.org, your system's packages, "
        f"`pip install uv && uv python install {PYTHON}`), or say LENET_BENCH_PYTHON=3.12."
    )
    raise AssertionError  # session.error does not return


def environment(session: nox.Session, name: str, *asked: str) -> Path:
    """Return the Python of the environment `name`, made anew where its pins have changed."""
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    stamp = folder / "pins.sha256"
    if python.exists() and stamp.exists() and stamp.read_text() == pins_digest(name):
        return python
    session.log(f"Making the environment {folder.relative_to(ROOT)}")
    shutil.rmtree(folder, ignore_errors=True)
    session.run(find_python(session), "-m", "venv", str(folder), silent=True)
    constraints = ROOT / "requirements" / f"{name}.txt"
    pinned = ["-c", str(constraints)] if constraints.exists() else []
    install(session, python, *asked, *pinned)
    stamp.write_text(pins_digest(name))
    return python


def pins_digest(name: str) -> str:
    """Digest of all files that decide what an environment holds."""
    # In these two the harness itself is installed.
    asked = [ROOT / "pyproject.toml"] if name in ("harness", "docs") else []
    asked += [ROOT / "requirements" / f"{name.partition('==')[0]}.in", ROOT / "requirements" / f"{name}.txt"]
    files = [path for path in asked if path.exists()]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def install(session: nox.Session, python: Path, *arguments: str) -> None:
    """Install with pip in an environment, with its progress where somebody watches."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    session.run(str(python), "-m", "pip", "install", "--disable-pip-version-check", *quiet, *arguments)


def harness_python(session: nox.Session) -> Path:
    """The harness side: command line, tables, tests, lint."""
    return environment(session, "harness", "-e", f"{ROOT}[parquet,figures,test,lint]")


def docs_python(session: nox.Session) -> Path:
    """MkDocs, and the harness, whose commands the site documents."""
    return environment(session, "docs", "-e", str(ROOT), "-r", str(ROOT / "requirements" / "docs.in"))


def obstacle(backend: str) -> str | None:
    """Why a backend cannot be had on this machine, if it cannot."""
    if backend == "mxnet" and PYTHON != "3.11":
        return f"mxnet needs Python 3.11, not {PYTHON}: its NumPy 1.23.5 has no wheel for later ones."
    for library in SYSTEM_LIBRARIES.get(backend, ()):
        try:
            ctypes.CDLL(library)
        except OSError:
            return f"{backend}'s wheel needs the system library {library}: apt-get install libgomp1 libquadmath0"
    return None


def backend_environment(
    session: nox.Session, backend: str, version: str = "", *, gpu: bool = False
) -> tuple[str, Path]:
    """Name and Python of a worker side's environment, which is made where it is not there."""
    problem = obstacle(backend)
    if problem:
        session.error(problem)
    name = f"{backend}-gpu" if backend in GPU_WHEELS and (gpu or wants_gpu(session.posargs)) else backend
    asked = requirements(session, name, version)
    if version:
        name = f"{name}=={version}"
    return name, environment(session, name, *asked)


def backend_python(session: nox.Session, backend: str, version: str = "", *, gpu: bool = False) -> Path:
    """A worker side, of the pinned version or of another; the harness is told where it is.

    Its wheels are for a GPU where that is said here or after --.
    """
    name, python = backend_environment(session, backend, version, gpu=gpu)
    code = "import sys; from harness.runs import interpreters; interpreters.record(*sys.argv[1:])"
    session.run(str(harness_python(session)), "-c", code, name, str(python), silent=True)
    return python


def requirements(session: nox.Session, name: str, version: str) -> list[str]:
    """What pip is asked for: the file, or its lines with another version of the framework, which is their first."""
    file = ROOT / "requirements" / f"{name}.in"
    if not version:
        return ["-r", str(file)]
    if not re.fullmatch(r"[0-9][0-9a-z.+]*", version):
        session.error(f"--framework-version takes versions such as 2.13.0, got {version!r}.")
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    options = [word for line in lines if line.startswith("--") for word in line.split()]
    framework, *others = [line for line in lines if not line.startswith("--")]
    # Its companions are those that pip finds to fit; `pip freeze` is in environment.json.
    names = [other.partition("==")[0] if name.startswith("jax") else other for other in others]
    return [*options, f"{framework.partition('==')[0]}=={version}", *names]


def asked_versions(options: list[str]) -> list[str]:
    """The versions in `--framework-version 2.12.1,2.13.0`, given after --, of the session's one backend."""
    given = [after for option, after in itertools.pairwise(options) if option == "--framework-version"]
    given += [option.partition("=")[2] for option in options if option.startswith("--framework-version=")]
    return [version.strip() for text in given for version in text.rpartition("=")[2].split(",")]


def wants_gpu(options: list[str]) -> bool:
    """Whether `--device gpu` is among what was given after --."""
    return "--device=gpu" in options or ("--device", "gpu") in itertools.pairwise(options)


def harness(session: nox.Session, *arguments: str) -> None:
    """Run the command line tool; exit codes other than 1 (README) become nox's own, which knows only 0 and 1."""
    command = [str(harness_python(session)), "-m", "harness", *arguments]
    try:
        # After Ctrl-C the tool ends its worker and writes its tables: let it.
        session.run(*command, interrupt_timeout=30, terminate_timeout=10)
    except CommandFailed as failure:
        if failure.return_code in (None, 1):
            raise
        raise SystemExit(failure.return_code) from None


def install_all(session: nox.Session, backends: tuple[str, ...]) -> list[str]:
    """Install those of the backends that can be had here, and return them; says which are left out and why."""
    for problem in filter(None, map(obstacle, backends)):
        session.warn(f"LEFT OUT: {problem}")
    found = [backend for backend in backends if not obstacle(backend)]
    # One unpacks while the other downloads; the map of interpreters is written by one alone.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda backend: backend_environment(session, backend), found))
    for backend in found:
        backend_python(session, backend)
    return found


def harness_on(session: nox.Session, backends: tuple[str, ...], *command: str) -> None:
    """Install these backends, and run a command of the tool on all of them."""
    harness(session, *command, "--backend", ",".join(install_all(session, backends)), *session.posargs)


def bench_session(backend: str) -> None:
    """Define bench-<backend>, verify-<backend> and tests-<backend>."""

    @nox.session(name=f"bench-{backend}", venv_backend="none", default=False)
    def bench_one(session: nox.Session) -> None:
        versions = asked_versions(session.posargs)
        for version in versions or [""]:
            backend_python(session, backend, version)
        harness(session, "run", "--backend", backend, *session.posargs)

    @nox.session(name=f"verify-{backend}", venv_backend="none", default=False)
    def verify_one(session: nox.Session) -> None:
        backend_python(session, backend)
        harness(session, "verify", "--backend", backend, *session.posargs)

    @nox.session(name=f"tests-{backend}", venv_backend="none", default=False)
    def tests_one(session: nox.Session) -> None:
        session.run(*conformance(backend_python(session, backend), backend, session.posargs), env=QUIET)

    bench_one.__doc__ = f"Install {backend}, train LeNet-5, time it, print a table, write CSV; options after --."
    verify_one.__doc__ = f"Install {backend} and prove its arithmetic against the float64 reference."
    tests_one.__doc__ = f"Test the {backend} backend's conformance in its own environment."


def test_backends(session: nox.Session, backends: list[str]) -> None:
    """Run the conformance suites of several, two at a time and each on a CPU of its own: they measure waiting, too."""
    pythons = {backend: backend_python(session, backend) for backend in backends}
    cpus = sorted(os.sched_getaffinity(0))[-2:]

    def run(backend: str) -> subprocess.CompletedProcess[str]:
        command = conformance(pythons[backend], backend, session.posargs)
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.run(command, env=os.environ | QUIET, cwd=ROOT, text=True, **both)

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


def conformance(python: Path, backend: str, options: list[str]) -> list[str]:
    """The command that tests one backend."""
    return [str(python), "-m", "pytest", "tests/backends", "--backend", backend, *options]


for each in BACKENDS:
    bench_session(each)


@nox.session(venv_backend="none", default=False)
def bench(session: nox.Session) -> None:
    """Install all five frameworks, run them round by round, compare them; options after --."""
    harness_on(session, FRAMEWORKS, "run")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Test everything: the harness, then every backend in its own environment."""
    python = harness_python(session)
    backends = install_all(session, BACKENDS)
    # A file stays in one process: its tests share what was trained for them.
    session.run(str(python), "-m", "pytest", "tests/harness", "-n", "2", "--dist", "loadfile", *session.posargs)
    # The slowest to compile first.
    test_backends(session, sorted(backends, key=lambda backend: backend != "jax"))


@nox.session(name="tests-pandas2", venv_backend="none", default=False)
def tests_pandas2(session: nox.Session) -> None:
    """Test all that reads and writes tables with pandas 2.3; everything else runs with pandas 3."""
    asked = ROOT / "requirements" / "pandas2.in"
    python = environment(session, "pandas2", "-e", f"{ROOT}[parquet]", "-r", str(asked))
    session.run(str(python), "-m", "pytest", *(f"tests/harness/{room}" for room in OF_TABLES), *session.posargs)


@nox.session(venv_backend="none", default=False)
def verify(session: nox.Session) -> None:
    """Prove the arithmetic of all five frameworks and of float32 NumPy; options after --."""
    harness_on(session, BACKENDS, "verify")


@nox.session(venv_backend="none", default=False)
def attacks(session: nox.Session) -> None:
    """Try all wrong and cheating backends of tests/attacks; fail where one passes; options after -- (--help)."""
    install_all(session, FRAMEWORKS)
    session.run(str(harness_python(session)), "-m", "tests.attacks", *session.posargs, env={"PYTHONPATH": str(ROOT)})


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


def benchmark(session: nox.Session, name: str) -> None:
    """Run a script of benchmarks/ on all five frameworks, or on those that are named after --."""
    backends = install_all(session, FRAMEWORKS)
    named = any(option in ("-b", "--backend") for option in session.posargs)
    choice = [] if named else ["--backend", ",".join(backends)]
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
    session.run(str(harness_python(session)), "-m", "benchmarks.gpu_trial", *session.posargs)


@nox.session(name="gpu-rehearsal", venv_backend="none", default=False)
def gpu_rehearsal(session: nox.Session) -> None:
    """Run the very code of `gpu` on the CPU, with small numbers and a made-up card (five minutes); options after --."""
    for backend in OF_TRIAL:
        backend_python(session, backend)
    out = ["--out", str(ROOT / "results" / "gpu-rehearsal"), "--device", "cpu", "--budget", "290"]
    session.run(str(harness_python(session)), "-m", "benchmarks.gpu_trial", *out, *session.posargs)


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
    python = harness_python(session)
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


@nox.session(venv_backend="none", default=False)
def lock(session: nox.Session) -> None:
    """Refresh the pins: install what is asked for in fresh environments, write what came; names after --."""
    for name in session.posargs or ("harness", "docs", *BACKENDS):
        target = ROOT / "requirements" / f"{name}.txt"
        target.unlink(missing_ok=True)
        sides = {"harness": harness_python, "docs": docs_python}
        python = sides[name](session) if name in sides else backend_python(session, name)
        freeze = subprocess.run(
            [str(python), "-m", "pip", "freeze", "--exclude-editable"], capture_output=True, text=True, check=True
        )
        # A local version (2.13.0+cpu) is one index's build: the pin must fit them all.
        pins = sorted(line.partition("+")[0] for line in freeze.stdout.splitlines() if "==" in line)
        target.write_text("\n".join(pins) + "\n")
        (ENVIRONMENTS / name / "pins.sha256").write_text(pins_digest(name))
