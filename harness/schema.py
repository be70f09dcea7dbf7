"""The columns of the result files: name, dtype, unit, meaning. The README's table and the readers come from here."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Column:
    """One column; `unit` is empty where a value has none."""

    name: str
    dtype: str  # a pandas extension dtype, so that an empty cell is missing and not NaN or "nan"
    unit: str
    meaning: str


def _columns(table: str) -> dict[str, Column]:
    dtypes = {"text": "string", "int": "Int64", "real": "Float64", "bool": "boolean"}
    columns = {}
    for line in table.strip().splitlines():
        name, dtype, unit, meaning = (cell.strip() for cell in line.split("|"))
        columns[name] = Column(name, dtypes[dtype], unit, meaning)
    return columns


# What makes two rows the same entrant: everything that can change its speed.
ENTRANT = _columns("""
backend           | text |  | folder under backends/
framework_version | text |  | of the framework that was found installed
network           | text |  | layer table
data_set          | text |  | mnist, fashion-mnist or drawn-digits
mode              | text |  | how the backend executes
feed              | text |  | host: NumPy batch handed over in each step; device: data set resident, indices handed over
device            | text |  | cpu or gpu
dtype             | text |  | precision of weights, activations and images
threads           | int  | threads | asked for; empty under environment=native
batch_size        | int  | images | of training
environment       | text |  | controlled or native
""")

_IDENTITY = _columns("""
schema_version    | int  |  | of these columns
run               | text |  | name of the run
round             | int  |  | launches of one round are compared with each other; counted from 1
position          | int  |  | place of the launch within its round, in random order
""")

_PROVENANCE = _columns("""
recipe            | text |  | what trains the network
seed              | int  |  | of initial weights and of the order of images
machine           | text |  | processor, CPUs, memory
machine_sha256    | text |  | digest of what must be equal for two rows to be compared
python_version    | text |  | of the worker
packages_sha256   | text |  | digest of the worker's `pip freeze`; the list is in environment.json
data_sha256       | text |  | digest of the data set's raw content
weights_sha256    | text |  | digest of the initial weights as the backend gave them back
batches_sha256    | text |  | digest of a sample of batches as the backend read them back from its device
status            | text |  | ok or failed
error             | text |  | why it failed
started_utc       | text |  | ISO 8601
launch_s          | real | s | the whole process, training included
""")

_MEASURED = _columns("""
import_s          | real | s | import of the backend and its framework, NumPy already loaded
build_s           | real | s | model, optimizer, initial weights
first_step_s      | real | s | first training step; compilation included, caches empty
warmup_steps      | int  | steps | until steady
steady            | bool |  | whether steadiness was reached within the limit
steady_steps      | int  | steps | that the next columns were measured over
train_images_per_s | real | images/s | steady training: batch size over median step time
step_us_median    | real | us | training step, median over blocks of 20 steps
step_us_p95       | real | us | training step, 95th percentile over blocks of 20 steps
page_faults_per_step | real | faults | minor and major, in steady training
context_switches_per_step | real | switches | voluntary and not, in steady training
cpu_s_user        | real | s | processor time in user mode, in steady training
cpu_s_system      | real | s | processor time in the kernel, in steady training
inference_batch_size | int | images | of the next column
inference_images_per_s | real | images/s | inference, images on the device, median batch
latency_ms_p50    | real | ms | inference of one image on the device, 1,024 queries, median
latency_ms_p95    | real | ms | the same, 95th percentile
latency_ms_p99    | real | ms | the same, 99th percentile
peak_rss_bytes    | int  | bytes | largest resident set of the worker before it trains epochs
device_memory_bytes | int | bytes | peak, of a GPU; empty on a CPU
device_memory_source | text |  | who said so
epochs            | int  | epochs | trained in this launch after it was timed
test_accuracy     | real | 1 | share of test images classified right after the last epoch; empty if none was trained
""")

_FOUND = _columns("""
threads_found     | text |  | threads as the framework reports them
cpus_found        | text |  | CPUs that the worker was pinned to
layout            | text |  | axis order of images
fast_math         | text |  | flags that trade precision for speed
optimizer         | text |  | the class that was used
compiler          | text |  | compiler or kernel library
""")

LAUNCHES = _IDENTITY | ENTRANT | _PROVENANCE | _MEASURED | _FOUND

EPOCHS = (
    _IDENTITY
    | ENTRANT
    | _columns("""
recipe            | text |  | what trains the network
seed              | int  |  | of initial weights and of the order of images
machine_sha256    | text |  | digest of what must be equal for two rows to be compared
epoch             | int  |  | counted from 1
train_s           | real | s | training this epoch, evaluation and preparation of batches not counted
train_loss        | real | nats | mean over the epoch's images, each before its batch's update
test_accuracy     | real | 1 | share of test images classified right after this epoch
evaluate_s        | real | s | the evaluation, with preparation of batches
""")
)

SUMMARY = (
    _columns("""
schema_version    | int  |  | of these columns
run               | text |  | name of the run
""")
    | ENTRANT
    | _columns("""
machine           | text |  | processor, CPUs, memory
machine_sha256    | text |  | digest of what must be equal for two rows to be compared
data_sha256       | text |  | digest of the data set's raw content
launches          | int  | launches | that the figures are from
unsteady          | int  | launches | among them that never became steady; kept
train_images_per_s | real | images/s | geometric mean of the launches
train_images_per_s_low | real | images/s | 95 % interval from launches
train_images_per_s_high | real | images/s | 95 % interval from launches
ratio             | real | 1 | of its training speed to the fastest entrant's, paired by round
ratio_low         | real | 1 | 95 % interval
ratio_high        | real | 1 | 95 % interval
verdict           | text |  | against the fastest: faster, slower, equivalent, cannot tell; empty for the fastest itself
import_s          | real | s | median of launches, as all that follow
build_s           | real | s | model, optimizer, initial weights
first_step_s      | real | s | first training step; compilation included
inference_images_per_s | real | images/s | inference, median batch
latency_ms_p50    | real | ms | inference of one image, median
latency_ms_p95    | real | ms | the same, 95th percentile
latency_ms_p99    | real | ms | the same, 99th percentile
peak_rss_bytes    | int  | bytes | largest resident set
device_memory_bytes | int | bytes | peak, of a GPU
epochs            | int  | epochs | that the next column is after
test_accuracy     | real | 1 | mean over the seeds that were trained
""")
)

BASELINE = _columns("""
schema_version    | int  |  | of these columns
backend           | text |  | folder under backends/
framework_version | text |  | that it was measured with
network           | text |  | layer table
data_set          | text |  | name
data_sha256       | text |  | digest of the data set's raw content
recipe            | text |  | what trained the network
batch_size        | int  | images | of training
dtype             | text |  | precision
epoch             | int  |  | counted from 1
seeds             | int  | seeds | that the next columns are over
test_accuracy_mean | real | 1 | mean over seeds
test_accuracy_sd  | real | 1 | standard deviation over seeds (n - 1)
test_accuracy_min | real | 1 | smallest
""")


def as_markdown(columns: dict[str, Column]) -> str:
    """The columns as a Markdown table; the README's copies are tested against this."""
    kinds = {"string": "text", "Int64": "integer", "Float64": "real", "boolean": "True/False"}
    rows = [f"| `{c.name}` | {kinds[c.dtype]} | {c.unit} | {c.meaning} |" for c in columns.values()]
    return "\n".join(["| column | type | unit | meaning |", "| --- | --- | --- | --- |", *rows])
