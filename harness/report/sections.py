"""The report's sections in their order: what each shows; and what this run has not, and how to get it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from harness.doctor.causes import likely_cause
from harness.report import facts, launch_figures, proof, reproduction, speed_figures, training_figures
from harness.report.parts import Figure, Table
from harness.report.reading import Report
from harness.tables.run_tables import is_paired

UNTIMED = "This run timed nothing, it only trained: `lenet-bench run` times."


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        name: of its anchor.
        texts: paragraphs.
        commands: what is typed into a shell.
        folded: tables that are shown when asked for.
        missing: what is not shown, why, and how to get it.
    """

    name: str
    title: str
    texts: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    folded: list[Table] = field(default_factory=list)


def sections(report: Report) -> list[Section]:
    """All sections behind the headline table that have something to show; the last says what the others would have."""
    made = [
        _speed(report), _accuracy(report), _target(report), _launch(report), _inference(report), _scaling(report),
        _memory(report), _proof(report), _surroundings(report),
    ]  # fmt: skip
    if report.plan is not None and report.plan.until:
        made[1:3] = [made[2], made[1]]
    missing = dict.fromkeys(sentence for each in made for sentence in each.missing)
    again = replace(_again(report), missing=list(missing))
    return [*(replace(each, missing=[]) for each in made if each.figures or each.tables), again]


def first_figure(report: Report) -> Figure | None:
    """What stands on the first screen, above all sections: the speeds; None where nothing was timed."""
    return speed_figures.throughput(report) if len(report.summary) else None


def figures(report: Report) -> list[Figure]:
    """Every figure that the run has data for."""
    first = first_figure(report)
    return [*([first] if first else []), *(figure for section in sections(report) for figure in section.figures)]


UNTIMED_TOO = (
    training_figures.accuracy_by_epoch, training_figures.loss_by_epoch, training_figures.accuracy_by_seconds,
    training_figures.time_to_target,
)  # fmt: skip


def _drawn(report: Report, *makers: tuple[Callable[[Report], Figure | None], str]) -> tuple[list[Figure], list[str]]:
    """The figures that there are data for, and a sentence for each of the others."""
    made: list[Figure] = []
    missing: list[str] = []
    for maker, why in makers:
        possible = len(report.summary) > 0 or maker in UNTIMED_TOO
        figure = maker(report) if possible else None
        if figure:
            made.append(figure)
        else:
            missing.append(why if possible else UNTIMED)
    return made, list(dict.fromkeys(missing))


def _speed(report: Report) -> Section:
    made, missing = _drawn(
        report,
        (speed_figures.ratios, "There is one entrant, so there are no ratios: name several with --backend or --mode."),
        (speed_figures.by_round, "There is one round, so there is no spread: give --rounds 5, or a --budget."),
    )
    texts = [
        "A launch is a fresh process, and counts as one value: the median of its blocks. Speeds are geometric means of "
        "launches with Student's 95 % interval. Ratios are paired by turn and round; their intervals are wider, so "
        "that all of them hold together with 95 %."
    ]
    if len(report.summary) and not report.summary.apply(is_paired, axis=1).all():
        texts.append(
            "Entrants that share no round with the base are not paired with it: the machine may have changed between "
            "their rounds. Measure both in one round."
        )
    if len(report.summary) and (report.summary["verdict"] == "cannot tell").any():
        cause = likely_cause(report.timed)
        texts.append(f"Cannot tell everything. {cause[0].upper()}{cause[1:]}")
    return Section("speed", "Training speed", texts, made, missing=missing)


def _accuracy(report: Report) -> Section:
    why = "No epochs were trained (--epochs 0): give --epochs 5."
    made, missing = _drawn(
        report,
        (training_figures.accuracy_by_epoch, why),
        (training_figures.loss_by_epoch, why if report.epochs.empty else "The training loss was not recorded."),
        (training_figures.accuracy_by_seconds, why),
    )
    seeds = facts.seeds(report)
    if seeds is None and made:
        missing += ["One seed was trained, so nothing tells how much seeds differ: give --seeds 5."]
    texts = [seeds[1]] if seeds else []
    return Section("accuracy", "Accuracy", texts, made, [seeds[0]] if seeds else [], missing=missing)


def _target(report: Report) -> Section:
    made, missing = _drawn(
        report, (training_figures.time_to_target, "No target was asked for: give --until 98.5, say, in per cent.")
    )
    texts = ["Training alone; the table adds the evaluations. A seed that never reached the target took for ever."]
    return Section("target", "Time to target", texts if made else [], made, missing=missing)


def _launch(report: Report) -> Section:
    made, missing = _drawn(report, (launch_figures.where_time_goes, "The phases of the launches were not recorded."))
    texts = [
        "What you wait for until one epoch is trained: importing the framework, building the "
        "network, compiling it in the first step (compile caches are empty), the steps that are slower than later "
        "ones, and all images of one epoch at the speed above. Means over the launches, whose parts add up (the table "
        "above has geometric means); no evaluation."
    ]
    return Section("launch", "Time to the end of the first epoch", texts if made else [], made, missing=missing)


def _inference(report: Report) -> Section:
    why = "Inference was not measured (--inference-sizes none): leave that option out."
    made, missing = _drawn(report, (launch_figures.latency, why), (launch_figures.inference, why))
    texts = [
        "Each launch asks 1,024 times for one image that is already on the device, and keeps twelve percentiles of "
        "the times (latency.csv): what is shown are their medians over the launches."
    ]
    return Section("latency", "Latency and inference", texts if made else [], made, missing=missing)


def _scaling(report: Report) -> Section:
    made, missing = _drawn(
        report,
        (lambda r: speed_figures.growth(r, "batch_size"),
         "No entrant was run with several batch sizes: give --batch-size 32,64,256."),
        (lambda r: speed_figures.growth(r, "threads"), "No entrant was run with several threads: give --threads 1,2."),
        (lambda r: speed_figures.growth(r, "replicas"),
         "No entrant was run with several replicas: give --replicas 1,2."),
    )  # fmt: skip
    return Section("scaling", "Scaling", [], made, missing=missing)


def _memory(report: Report) -> Section:
    made, missing = _drawn(report, (launch_figures.memory, "Memory was not recorded."))
    texts = [
        "Physical memory of the training process (its resident set), the data set in it, before the epochs that "
        "accuracies are from."
    ]
    return Section("memory", "Memory", texts if made else [], made, missing=missing)


def _proof(report: Report) -> Section:
    texts = [
        "Verified means: before the run, layers, losses, every gradient and the weights after 100 steps were held "
        "against a float64 reference, with tolerances from rounding alone, of which the worst quantity used the share "
        "that is given (1 is all of it). A certificate is for the code that is installed where this page was made."
    ]
    return Section("verification", "Verification", texts, tables=[proof.verification(report)])


def _surroundings(report: Report) -> Section:
    tables = [facts.settings(report), facts.machine(report), facts.versions(report), facts.controls(report)]
    return Section("machine", "Machine, versions, controls", tables=tables, folded=[facts.packages(report)])


def _again(report: Report) -> Section:
    if report.plan is None:
        return Section("again", "How to reproduce", ["environment.json holds no plan, so the command is not known."])
    command = reproduction.command_of(report.plan)
    same = (
        "Every row of launches.csv has the digests of the initial weights and of the batches (weights_sha256, "
        "batches_sha256): they must come out equal on any machine. Speeds need this machine and these versions."
    )
    if command.reason:
        return Section("again", "How to reproduce", [same, f"{command.reason} The plan is in environment.json."])
    return Section("again", "How to reproduce", [same], commands=[command.text])
