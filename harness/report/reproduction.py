"""From a plan back to the command that makes it, which is only given where it makes exactly this plan."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from harness.errors import LenetBenchError
from harness.runs.entrants import make_entrants, parse_versions, precision_of
from harness.runs.plan import PRESETS, TARGET_EPOCHS, TARGET_SEEDS, Plan, Preset, default_plan, pace_fields
from harness.spec.recipes import RECIPES, choose, recipe_for
from harness.worker import catalogue

# Options that take several values, which every entrant has one of; of the others a run has one for all.
EACH = ("feed", "threads", "batch_size", "replicas")


@dataclass(frozen=True)
class Command:
    """How to make a run again.

    Attributes:
        arguments: of `lenet-bench`; empty where no single command makes the plan.
        reason: then why, a sentence.
    """

    arguments: list[str]
    reason: str = ""

    @property
    def text(self) -> str:
        """What is typed into a shell."""
        return shlex.join(["lenet-bench", *self.arguments])


def command_of(plan: Plan) -> Command:
    """The command that makes this plan. It is checked: the options are turned into a plan again, and compared."""
    if not plan.timing:
        return Command([], "It only trained: it is a run of `lenet-bench gate` or `lenet-bench reproduce`.")
    if plan.recipe.name not in RECIPES:
        return Command([], f"No option names its recipe, {plan.recipe.name!r}.")
    tried: list[list[str]] = []
    for name, preset in sorted(PRESETS.items(), key=lambda pair: pair[0] != "standard"):
        try:
            options = _options(plan, name, preset)
            again = _plan_of(options, plan)
        except (LenetBenchError, ValueError, KeyError) as error:
            return Command([], f"This installation cannot make its entrants again: {str(error).rstrip('.')}.")
        # CPUs are chosen when a run starts.
        own = [each.name for each in fields(Plan) if each.name != "cpus"]
        different = [name for name in own if getattr(again, name) != getattr(plan, name)]
        if not different:
            return Command(["run", *itertools.chain(*_spelled(options))])
        tried.append(different)
    least = min(tried, key=len)
    return Command([], f"No single command makes this plan: it differs from what one would make in {', '.join(least)}.")


def _options(plan: Plan, preset_name: str, preset: Preset) -> dict[str, Any]:
    """The options of `run`, but for those that are at their defaults with this preset."""
    first = plan.entrants[0]
    backends = list(dict.fromkeys(each.backend for each in plan.entrants))
    options: dict[str, Any] = {"backend": ",".join(backends), "mode": _modes(plan, backends)}
    options["framework-version"] = _versions(plan, backends)
    options |= {name.replace("_", "-"): _values(getattr(each, name) for each in plan.entrants) for name in EACH}
    if first.environment == "native":
        options.pop("threads")
    options |= {"network": first.network, "recipe": plan.recipe.name, "device": first.device}
    options |= {"dtype": "float32", "tf32": True} if first.dtype == "tf32" else {"dtype": first.dtype}
    options |= {"environment": first.environment, "data-set": plan.data_set, "data-dir": plan.data_dir}
    fixed = plan.most_rounds == plan.rounds
    if fixed:
        options["rounds"] = plan.rounds
    else:
        options |= {"preset": preset_name, "precision": _percent(plan.precision), "budget": _shown(plan.budget_s)}
    options |= {"base": plan.base, "epochs": plan.epochs, "seeds": plan.seeds, "seed": plan.seed}
    options |= {"until": _percent(plan.until), "steady-s": _shown(plan.steady_s)}
    options |= {"inference-sizes": ",".join(map(str, plan.inference_sizes)) or "none"}
    options |= {"launch-timeout": _shown(plan.launch_timeout_s), "audit-batches": plan.audit_batches}
    options |= {"unverified": not plan.verified}
    return {name: value for name, value in options.items() if value != _default(name, plan, preset, fixed)}


def _default(name: str, plan: Plan, preset: Preset, fixed: bool) -> Any:
    """What an option is where it is not given, as text where `_options` has text."""
    usual = PRESETS["standard"] if fixed else preset
    until = plan.until > 0
    seeds = TARGET_SEEDS if until else 1
    own = recipe_for(plan.entrants[0].network)
    # A recipe that is asked for brings its own network.
    network = "lenet5" if own.name == plan.recipe.name else RECIPES[plan.recipe.name].network
    return {
        "feed": "host", "threads": "1", "replicas": "1", "network": network,
        "batch-size": str(RECIPES[plan.recipe.name].batch_size), "recipe": own.name, "device": "cpu",
        "dtype": "float32", "environment": "controlled", "data-set": "",
        "data-dir": None, "preset": "standard", "precision": _percent(usual.precision),
        "budget": _shown(usual.budget_s), "base": "", "seeds": seeds, "seed": 0, "until": _percent(0),
        "epochs": TARGET_EPOCHS if until else usual.epochs, "steady-s": _shown(usual.steady_s),
        "inference-sizes": "1,8,64,500", "launch-timeout": "900", "audit-batches": False, "unverified": False,
    }.get(name)  # fmt: skip


def _modes(plan: Plan, backends: list[str]) -> str | None:
    """Each backend's modes in their order; None where every backend has its default alone."""
    of = {name: list(dict.fromkeys(e.mode for e in plan.entrants if e.backend == name)) for name in backends}
    device = plan.entrants[0].device
    if all(modes == list(catalogue.modes(name, device))[:1] for name, modes in of.items()):
        return None
    return ",".join(f"{name}:{mode}" if len(of) > 1 else mode for name, modes in of.items() for mode in modes)


def _versions(plan: Plan, backends: list[str]) -> list[str] | None:
    """The versions that were asked for, an option a backend; None where none was."""
    of = {name: list(dict.fromkeys(e.version for e in plan.entrants if e.backend == name)) for name in backends}
    return [f"{name}={','.join(versions)}" for name, versions in of.items() if any(versions)] or None


def _plan_of(options: dict[str, Any], plan: Plan) -> Plan:
    """The plan that `lenet-bench run` makes of these options."""
    preset = PRESETS[options.get("preset", "standard")]
    chosen = choose(options.get("network", ""), options.get("recipe", ""))
    until = float(options.get("until", 0))
    sizes = options.get("inference-sizes", "1,8,64,500")
    entrants = make_entrants(
        options["backend"].split(","), modes=options.get("mode"), feeds=options.get("feed", "host").split(","),
        threads=_numbers(options.get("threads", "1")), replicas=_numbers(options.get("replicas", "1")),
        batch_sizes=_numbers(options.get("batch-size", str(chosen.batch_size))), device=options.get("device", "cpu"),
        dtype=precision_of(options.get("dtype", "float32"), tf32=options.get("tf32", False)), network=chosen.network,
        environment=options.get("environment", "controlled"),
        versions=parse_versions(options.get("framework-version", []), options["backend"].split(",")),
    )  # fmt: skip
    pace = pace_fields(
        preset, precision=_real(options.get("precision")), budget_s=_real(options.get("budget")),
        rounds=options.get("rounds"), epochs=options.get("epochs"), seeds=options.get("seeds"), until=until or None,
        steady_s=_real(options.get("steady-s")), inference_sizes=() if sizes == "none" else tuple(_numbers(sizes)),
    )  # fmt: skip
    return default_plan(
        entrants, recipe=chosen, base=options.get("base", ""), data_set=options.get("data-set", ""),
        data_dir=options.get("data-dir"), seed=options.get("seed", 0), until=until / 100,
        launch_timeout_s=float(options.get("launch-timeout", "900")), verified=not options.get("unverified", False),
        audit_batches=options.get("audit-batches", False), **pace,
    )  # fmt: skip


def _spelled(options: dict[str, Any]) -> Iterable[list[str]]:
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            yield [f"--{name}"] if each is True else [f"--{name}", str(each)]


def _values(values: Iterable[Any]) -> str:
    return ",".join(map(str, dict.fromkeys(values)))


def _numbers(values: str) -> list[int]:
    return [int(value) for value in values.split(",")]


def _real(value: str | None) -> float | None:
    return None if value is None else float(value)


def _shown(value: float) -> str:
    return format(value, ".10g")


def _percent(share: float) -> str:
    return format(share * 100, ".10g")
