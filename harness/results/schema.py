"""The columns of the result files: name, dtype, unit, meaning. docs/results.md and the readers come from here."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 8
BASELINE_VERSION = 2


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
data_set          | text |  | mnist, fashion-mnist, cifar-10 or drawn-digits
mode              | text |  | how the backend executes
feed              | text |  | host: NumPy batch handed over in each step; device: data set resident, indices handed over
device            | text |  | cpu or gpu
dtype             | text |  | precision: float32, float64, bfloat16 (mixed: weights float32), tf32 (float32 on a GPU)
threads           | int  | threads | asked for; empty under environment=native
batch_size        | int  | images | of training; of all replicas together
replicas          | int  | replicas | copies of the model that share out each batch; threads are each one's
environment       | text |  | controlled or native
variant           | text |  | tells two otherwise equal entrants apart: of the self-test, or a version asked for
slowdown          | real | 1 | share by which every timed step was made slower on purpose (self-test); else 0
""")

_IDENTITY = _columns("""
schema_version    | int  |  | of these columns
run               | text |  | name of the run
round             | int  |  | launches of one round are compared with each other; counted from 1
position          | int  |  | place of the launch within its round, in random order
""")

_PROVENANCE = _columns("""
verified          | bool |  | whether the entrant had passed `verify` in this version, mode, precision and device
recipe            | text |  | what trains the network
seed              | int  |  | of initial weights and of the order of images
machine           | text |  | processor, CPUs, memory
machine_sha256    | text |  | digest of what must be equal for two rows to be compared
python_version    | text |  | of the worker
packages_sha256   | text |  | digest of the worker's `pip freeze`; the list is in environment.json
controls_sha256   | text |  | digest of the controls asked for, but for threads and CPUs; they are in environment.json
data_sha256       | text |  | digest of the data set's raw content
weights_sha256    | text |  | digest of the initial weights as the backend gave them back
batches_sha256    | text |  | digest of a sample of batches as the backend read them back from its device
batches_read_back | int  | batches | that the digest is of: all of an epoch with --audit-batches
status            | text |  | ok or failed
counted           | bool |  | whether figures are made of it: not of a cut round (after a kill: set by `--resume`)
plan_round        | int  |  | of the plan; one done again has the same, and another `round`; trainings have -1, -2, ...
other_runs        | int  | runs | of lenet-bench that were under way on this machine beside it
error             | text |  | why it failed
started_utc       | text |  | ISO 8601
launch_s          | real | s | the whole process, training included
""")

_MEASURED = _columns("""
import_s          | real | s | import, NumPy loaded; this and the next 4 are empty where others started beside it
build_s           | real | s | model, optimizer, initial weights
first_step_s      | real | s | first training step; compilation included, caches empty
start_up_s        | real | s | import, build, and what first step and warm-up took beyond the steady median
first_epoch_s     | real | s | start-up, and all images of an epoch at the steady median
block_steps       | int  | steps | of a block, which one timed call trains; their times are in blocks.csv
return_steps      | int  | steps | at the start of every turn that are not counted: others have had the caches
warmup_steps      | int  | steps | until steady
warmup_s          | real | s | that they took
steady            | bool |  | whether steadiness was reached within the limit
steady_steps      | int  | steps | that the next columns were measured over
turns             | int  | turns | that they were timed in, entrant after entrant; 1 for all at once
turn_seed         | int  |  | what the starts and the batches of the turns follow from, drawn for the round
audited_turns     | int  | turns | drawn after they were timed, done over by the reference, and found right
audit_share       | real | 1 | largest error of the audit (losses, weights, logits) over what rounding allows
at_work_share     | real | CPUs | that its threads had or waited for in its turns, by the system, median over turns
left_share        | real | 1 | share of a turn's time for which work went on outside its blocks, median over turns
turn_step_us      | text | us | training step, median over the blocks of each turn; what ratios are made from
disturbed_turns   | text |  | numbers of turns in which others had the CPUs, or none; left out where 5 or more are left
cpu_wait_share    | real | 1 | share of its turns' time for which it wanted a CPU that others had, mean over all turns
steady_drift      | real | 1 | median block of their second half over that of the first, less 1
train_images_per_s | real | images/s | steady training: batch size over median step time
step_us_median    | real | us | training step, median over blocks
step_us_p95       | real | us | training step, 95th percentile over blocks
train_gflops      | real | GFLOP/s | operations of the layer table (docs/operations.md) at that speed
peak_gflops       | real | GFLOP/s | the machine's (docs/operations.md), same CPUs and round; where inference is timed
peak_share        | real | 1 | the one over the other; summary.csv divides by the largest peak
peak_source       | text |  | registers or NumPy's matrix product, which reached it; the other's rate
page_faults_per_step | real | faults | minor and major, in steady training
context_switches_per_step | real | switches | voluntary and not, in steady training
preemptions_per_step | real | switches | not voluntary: something else wanted the CPU
cpu_s_user        | real | s | processor time in user mode, in steady training
cpu_s_system      | real | s | processor time in the kernel, in steady training
cpu_quota         | real | CPUs | that the cgroup allows at most; empty for no limit
throttled_share   | real | 1 | share of the cgroup's periods, in steady training, in which the limit was met
steal_share       | real | 1 | share of the CPUs' time that the hypervisor gave to others, in steady training
other_load        | real | CPUs | that everything else on the machine used, in steady training
frequency_mhz     | real | MHz | of the CPUs, as the kernel says, around steady training
harness_cpu_share | real | CPUs | that the harness itself used, in steady training
energy_j          | real | J | of steady training; empty where no meter can be read
energy_source     | text |  | who said so
inference_batch_size | int | images | of the next column, others: inference.csv; empty once inference was known
inference_images_per_s | real | images/s | inference, images on the device, median batch
latency_ms_p50    | real | ms | inference of one image on the device, 1,024 queries, median
latency_ms_p95    | real | ms | the same, 95th percentile
latency_ms_p99    | real | ms | the same, 99th percentile
rss_import_bytes  | int  | bytes | resident set of the worker once its framework is imported
peak_rss_bytes    | int  | bytes | largest resident set of the worker before it trains epochs
device_memory_bytes | int | bytes | peak, of a GPU; empty on a CPU
device_memory_source | text |  | who said so
epochs            | int  | epochs | trained in this launch
test_accuracy     | real | 1 | share of test images classified right after the last epoch; empty if none was trained
until             | real | 1 | test accuracy that was to end training (--until); empty if none was asked for
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
train_accuracy    | real | 1 | share of training images classified right before their batch's update (`reproduce` only)
test_accuracy     | real | 1 | share of test images classified right after this epoch
evaluate_s        | real | s | the evaluation, with preparation of batches
""")
)

_LAUNCH_OF = _columns("""
backend           | text |  | folder under backends/
mode              | text |  | how the backend executes
variant           | text |  | tells two otherwise equal entrants apart
""")

BLOCKS = (
    _IDENTITY
    | _LAUNCH_OF
    | _columns("""
phase             | text |  | warmup, return (the first steps of a turn, not counted) or steady
turn              | int  |  | counted from 1 in each phase
block             | int  |  | counted from 1 in each turn
steps             | int  | steps | of the block
seconds           | real | s | that the block took
""")
)

INFERENCE = (
    _IDENTITY
    | _LAUNCH_OF
    | _columns("""
inference_batch_size | int | images | of a call
inference_images_per_s | real | images/s | images on the device, of the median call
""")
)

LATENCY = (
    _IDENTITY
    | _LAUNCH_OF
    | _columns("""
percentile        | real | %  | of the launch's 1,024 queries; 0 is the shortest, 100 the longest
latency_ms        | real | ms | inference of one image on the device
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
verified          | bool |  | whether all of its launches were of an entrant that had passed `verify`
launches          | int  | launches | that the figures are from
unsteady          | int  | launches | among them that never became steady; kept
train_images_per_s | real | images/s | geometric mean of the launches
train_images_per_s_low | real | images/s | 95 % interval from launches
train_images_per_s_high | real | images/s | 95 % interval from launches
train_images_per_s_cv | real | 1 | standard deviation over mean of the launches
base              | text |  | entrant that the next columns compare with: --base, else the fastest
ratio             | real | 1 | of its training speed to the base's, paired by turn within a round
ratio_low         | real | 1 | interval; all comparisons of the table hold together with 95 %
ratio_high        | real | 1 | interval
ratio_sd          | real | 1 | standard deviation over rounds of its logarithm: spread of both, without drift
paired            | bool |  | whether the ratio is of pairs; else the base is of another run
verdict           | text |  | against the base: faster, slower, equivalent, cannot tell; empty for the base itself
import_s          | real | s | import of the framework; geometric mean of the launches, as of the four that follow
import_s_low      | real | s | 95 % interval
import_s_high     | real | s | 95 % interval
build_s           | real | s | model, optimizer, initial weights
build_s_low       | real | s | 95 % interval
build_s_high      | real | s | 95 % interval
first_step_s      | real | s | first training step; compilation included
first_step_s_low  | real | s | 95 % interval
first_step_s_high | real | s | 95 % interval
start_up_s        | real | s | import, build, compiling, warming up
start_up_s_low    | real | s | 95 % interval
start_up_s_high   | real | s | 95 % interval
first_epoch_s     | real | s | start-up, and all images of an epoch at the steady speed
first_epoch_s_low | real | s | 95 % interval
first_epoch_s_high | real | s | 95 % interval
break_even_images | real | images | after so many it has overtaken the entrant with the shortest start-up; inf for never
inference_images_per_s | real | images/s | inference, largest batches; median of the launches that have it, as below
latency_ms_p50    | real | ms | inference of one image, median
latency_ms_p95    | real | ms | the same, 95th percentile
latency_ms_p99    | real | ms | the same, 99th percentile
train_gflops      | real | GFLOP/s | operations of the layer table at the training speed
peak_share        | real | 1 | of the largest peak of its rounds
rss_import_bytes  | int  | bytes | resident set after import
peak_rss_bytes    | int  | bytes | largest resident set
device_memory_bytes | int | bytes | peak, of a GPU
energy_j_per_image | real | J/image | of steady training
epochs            | int  | epochs | that the next column is after; the most, where training ended at a target
test_accuracy     | real | 1 | mean over the seeds that were trained
until             | real | 1 | test accuracy at which training ended (--until)
seeds             | int  | seeds | that were trained
seeds_reached     | int  | seeds | that reached it
until_epochs      | real | epochs | median over seeds until it was reached; inf where half of them did not
until_train_s     | real | s | median over seeds of training alone; inf where half of them did not reach it
until_total_s     | real | s | the same with the evaluations
""")
)

SCALING = (
    _columns("""
schema_version    | int  |  | of these columns
run               | text |  | name of the run
""")
    | ENTRANT
    | _columns("""
dimension         | text |  | what is scaled: threads, replicas or batch_size; the entrant's other columns are equal
base_value        | int  |  | its smallest value in the run, which the ratio is to
train_images_per_s | real | images/s | geometric mean of the launches
ratio             | real | 1 | of the training speed to that at base_value, paired by turn within a round
ratio_low         | real | 1 | interval; all ratios of the file hold together with 95 %
ratio_high        | real | 1 | interval
efficiency        | real | 1 | the ratio over how many times as many threads or replicas; empty for batch_size
efficiency_low    | real | 1 | interval
efficiency_high   | real | 1 | interval
""")
)

DUELS = _columns("""
schema_version    | int  |  | of these columns
run               | text |  | folder of the duel
backend           | text |  | that was entered twice
duel              | int  |  | counted from 1 for each slowdown
slowdown          | real | 1 | share by which the twin's steps were made slower; 0 for an honest twin
rounds            | int  | rounds | until the interval was narrow enough, or the budget ended
duel_s            | real | s | of all its launches
ratio             | real | 1 | of the twin's training speed to the other's
ratio_low         | real | 1 | 95 % interval
ratio_high        | real | 1 | 95 % interval
verdict           | text |  | of the twin
covered           | bool |  | whether the interval holds the true ratio, 1 / (1 + slowdown)
""")

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
run               | text |  | that the trainings were, a folder under results/; empty, like all below, where not known
machine           | text |  | that they ran on: processor, CPUs, memory
machine_sha256    | text |  | digest of what must be equal for two machines to be the same
python_version    | text |  | of the workers
lenet_bench_version | text |  | of the harness
written_by        | text |  | who took the rows into the baseline: git's user.name, else the login
written_utc       | text |  | when, ISO 8601
""")


DOCUMENTS = (
    {name: _IDENTITY[name] for name in ("schema_version",)}
    | {
        name: ENTRANT[name]
        for name in ("backend", "framework_version", "network", "data_set", "mode", "dtype", "threads")
    }
    | _columns("""
recipe            | text |  | the document's
seed              | int  |  | of initial weights and of the order of images
machine           | text |  | processor, CPUs, memory
epoch             | int  |  | counted from 1
train_s           | real | s | training this epoch
train_loss        | real | nats | mean over the epoch's images, each before its batch's update
train_accuracy    | real | 1 | share of training images classified right before their batch's update
test_accuracy     | real | 1 | share of test images classified right after this epoch
published_loss    | real | nats | what the document prints for this epoch
published_train_accuracy | real | 1 | the same
published_test_accuracy | real | 1 | the same
measured_utc      | text |  | ISO 8601
""")
)

VERIFICATION = (
    {name: _IDENTITY[name] for name in ("schema_version",)}
    | {name: ENTRANT[name] for name in ENTRANT if name not in ("data_set", "environment", "variant", "slowdown")}
    | _columns("""
recipe            | text |  | what trains the network
packages_sha256   | text |  | digest of the worker's `pip freeze`
seed              | int  |  | of initial weights
quantity          | text |  | what was compared with the float64 reference, in the order of computation
error             | real | 1 | largest absolute error over the largest absolute value; others: docs/verification.md
tolerance         | real | 1 | what rounding allows, or, of times, a busy machine
passed            | bool |  | whether the error is within it
verified_utc      | text |  | ISO 8601
""")
)

# Not a file: what `lenet-bench history` prints.
HISTORY = _columns("""
run               | text | | name of the run's folder
started_utc       | text | | ISO 8601, of the run's first launch
entrant           | text | | its label, without the version
framework_version | text | | of the framework that was found installed
python_version    | text | | of the worker
lenet_bench       | text | | version of lenet-bench, from environment.json
launches          | int | launches | that the speed is from
train_images_per_s | real | images/s | geometric mean of the launches
train_images_per_s_low | real | images/s | 95 % interval from launches
train_images_per_s_high | real | images/s | 95 % interval from launches
before            | text | | what the next columns compare with: the run before, or another version in the same run
paired            | bool | | whether both were in one run, and paired by turn and round
ratio             | real | 1 | of the training speed to that before
ratio_low         | real | 1 | 95 % interval, of this comparison alone; Welch's where it is not paired
ratio_high        | real | 1 | interval
verdict           | text | | faster, slower, equivalent, cannot tell
against           | text | | entrants that both runs have with the same packages: the machine's drift is theirs too
against_ratio     | real | 1 | the ratio again, of speeds over the geometric mean speed of these, by round
against_low       | real | 1 | 95 % interval, Welch's, of this comparison alone
against_high      | real | 1 | interval
against_verdict   | text | | faster, slower, equivalent, cannot tell
epochs            | int | epochs | that the next column is after
test_accuracy     | real | 1 | mean over the seeds that were trained
seeds             | int | seeds | that were trained
changed           | text | | what the two runs' records differ in; empty for nothing
conditions        | text | | what disturbed the timing, in sentences; empty for nothing
network           | text | | layer table
data_set          | text | | mnist, fashion-mnist, cifar-10 or drawn-digits
recipe            | text | | what trains the network
machine           | text | | processor, CPUs, memory
machine_sha256    | text | | digest of what must be equal for two rows to be compared
""")

FILES = {
    "launches.csv": (LAUNCHES, "a row a launch"),
    "blocks.csv": (BLOCKS, "a row a timed block: redo the statistics; joins launches by run, round, position"),
    "inference.csv": (INFERENCE, "a row a launch and batch size"),
    "latency.csv": (LATENCY, "a row a launch and percentile of its latencies"),
    "epochs.csv": (EPOCHS, "a row an epoch"),
    "summary.csv": (SUMMARY, "a row an entrant"),
    "scaling.csv": (SCALING, "how speed grows with threads, replicas and batch size; only where several were run"),
    "verification.csv": (VERIFICATION, "a row a quantity that `lenet-bench verify` compared: the certificate"),
    "documents.csv": (DOCUMENTS, "a row an epoch of a document's recipe; results/documents.csv is committed"),
    "duels.csv": (DUELS, "a row a duel of `lenet-bench selftest`"),
    "results/baselines/accuracy.csv": (
        BASELINE,
        f"what the gate holds accuracies against; schema_version {BASELINE_VERSION}",
    ),
    "lenet-bench history --format csv": (HISTORY, "a row an entrant and run; printed, not kept"),
}
