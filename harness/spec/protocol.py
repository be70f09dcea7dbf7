"""What a backend is: the class that every `backends/<name>/backend.py` defines.

Backends do not inherit from this and do not import it; it documents and type-checks the seam. What most of them have in
common is `harness.spec.common`, from which they may inherit. Arguments are keyword-only where a call takes more than
one. A backend has no loop over epochs, no shuffling, no accuracy, no seed, no clock, no file and no printing: those are
the harness's.

Beside the class, `backends/<name>/__init__.py` states (harness/worker/facts.py checks it), without the framework:
    DISTRIBUTIONS: the packages, any one of which is the framework; its version is the backend's.
    MODES: mode -> one sentence; the first is the default: what the framework's own guides teach for training.
    GPU_MODES (optional): those of them that need a GPU.
    BLOCKWISE (optional): modes that hand over a whole block at once, so that the time of a step depends on how many
        steps a call has; mode -> by how much its blocks are longer than others', 1 where they are not. Longer where
        a call of `train_steps` has a cost that users pay once an epoch.
    DTYPES: the precisions it can train in (`harness/spec/precision.py`); the first is the default.
    REFUSED (optional): (mode, dtype) -> why the framework gets it wrong. A test holds that it still does.
    INEXACT (optional): dtype -> kind of error (`harness.proof.rounding.KINDS`) -> the largest there is, where the
        framework's own kernels are less exact than the precision allows: verification measures what comes of such
        errors, allows for it, and says so. None may be larger than `harness.proof.rounding.largest`.
    REPLICAS (optional): modes in which it trains with several replicas of the model, mode -> one sentence; the class is
        then in `parallel.py`. REPLICA_PROCESSES: whether each is a process (`harness/spec/replicas.py`).
    MOST_THREADS (optional): with how many threads it can compute, at the most; as many as there are without it.
    DEVICES: what the backend has code for; the installation decides what works.
    ASYNCHRONOUS (optional): whether work is queued on a CPU, too, so that `synchronize` has something to wait for.
    ENVIRONMENT (optional): variable -> value, that a controlled launch has; `{scratch}` is the launch's own folder, for
        caches. Threads, allocator and paths are the harness's: `harness/worker/facts.py` lists what is not to be set.
    SET_ASIDE, NOT_ASIDE (optional): how variables begin that change the framework's speed, and exceptions; a user's own
        are set aside in a controlled launch. VARIABLES: those of them whose names may stand in a run's files.
    TITLE, PLAIN, COLOUR (optional): for reports: its name as people write it, the mode that sentences leave out because
        it is how the framework runs by itself, and `#rrggbb`.
    GPU_WHEELS, COMPANIONS, SYSTEM_LIBRARIES, ONLY_PYTHON (optional): for whoever installs it: whether a GPU has other
        wheels, whether other packages change with the framework's version, libraries of the system that its wheel
        needs, and the one version of Python that it has wheels for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from harness.spec.network import Network
from harness.spec.recipe import Recipe

Native = Any
HostBatch = tuple[np.ndarray, np.ndarray]


class Backend(Protocol):
    """One network in one framework, ready to train."""

    def __init__(
        self, *, network: Network, recipe: Recipe, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        """Build model and optimizer. Weights are undefined until `load_weights`.

        Args:
            mode: a key of MODES.
            feed: `host` or `device` (see `train_steps`).
            device: `cpu` or `gpu`.
            dtype: one of DTYPES; `harness/spec/precision.py` says what they mean.
            threads: how many the framework may compute with; 0 leaves the framework's own default.

        Raises:
            ValueError: what this installation cannot do, in a sentence that lists what it can.
        """

    @staticmethod
    def devices() -> list[str]:
        """Those of DEVICES that this installation can use on this machine."""

    @staticmethod
    def try_device(device: str) -> None:
        """Put a number on the device.

        Raises:
            Exception: the framework's own, or a sentence in its place where it would silently use another device.
        """

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Take over canonical float weights (see `harness.spec.start`); the optimizer forgets all and starts anew."""

    def set_learning_rate(self, value: float) -> None:
        """Use this learning rate from the next step on; the momentum carries over as the recipe's formula says.

        Where a framework keeps the learning rate inside its velocity, the velocity is scaled accordingly.
        """

    def dump_weights(self) -> dict[str, np.ndarray]:
        """Return the canonical weights as `harness.spec.precision.array_dtype` says; load, then dump, is bit-exact."""

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> tuple[Native, Native]:
        """Hand over arrays; return native (images, labels) on the device, in the backend's own layout.

        Args:
            images: as `harness.spec.precision.array_dtype` says, (n, channels, height, width), C-contiguous.
            labels: int32 (n,).
        """

    def use_dataset(self, dataset: tuple[Native, Native]) -> None:
        """Make what `put` returned the resident data set that `train_steps` indexes (feed=device)."""

    def train_steps(self, batches: Sequence[HostBatch] | np.ndarray) -> Native:
        """Take k steps of the recipe's optimizer; return the native losses, each before its update.

        `to_numpy` turns what is returned into an array (k,). A list of k scalars will do: stacking them on the
        device would be work that no training loop does.

        feed=host: a sequence of k (images, labels) as `put` takes them; their transfer is part of the step.
        feed=device: int64 (k, batch) indices into the resident data set; the gathering is part of the step.
        Not synchronised: queued work may still run when this returns.
        """

    def read_back(self, batch: HostBatch | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take one batch the way `train_steps` does and copy back what arrived on the device.

        Returns:
            images (n, channels, height, width) and labels (n,), as the backend's own dtypes.
        """

    def gradients(self, batch: tuple[Native, Native]) -> dict[str, np.ndarray]:
        """Gradients of the mean loss of one `put` batch by every weight, canonical, as in training. No update."""

    def loss(self, batch: tuple[Native, Native]) -> Native:
        """Mean cross-entropy of one `put` batch as in training, native scalar. No update."""

    def logits(self, images: Native) -> Native:
        """Inference mode; native (n, classes). Not synchronised."""

    def activations(self, images: Native) -> dict[str, np.ndarray]:
        """Output of every layer in inference mode, by its name: (n, c, h, w) or (n, units), whatever the layout.

        Layer by layer, so not through what a mode compiles: this finds the layer that is wrong.
        """

    def synchronize(self) -> None:
        """Return when all queued work is done, on every device that this backend uses."""

    def to_numpy(self, value: Native) -> np.ndarray:
        """Copy a native tensor, or a sequence of native scalars, to the host; waits for it."""

    def memory(self) -> tuple[int | None, str]:
        """Peak device memory in bytes and who said so; (None, reason) where there is no such figure."""

    def describe(self) -> dict[str, str]:
        """Versions, effective threads (key `threads`), layout, fast-math flags, optimizer, compiler."""
