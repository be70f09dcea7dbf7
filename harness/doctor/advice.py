"""What the doctor advises: what to change, with the command, and what that does. Text alone.

An effect is said with its source, or where it is plain. How much speed or spread a change is worth differs from
machine to machine and is not promised. A command stands on a line of its own, to be copied.
"""

from __future__ import annotations

from dataclasses import dataclass

CPUS = "/sys/devices/system/cpu"


@dataclass(frozen=True)
class Advice:
    """What to change, and what the change, or leaving it, does; {names} are filled in by the check."""

    advice: str
    effect: str


ADVICE = {
    "too few CPUs": Advice(
        "Give --threads {cpus}, or allow more CPUs (taskset, docker run --cpuset-cpus).",
        "A launch with more threads than CPUs is refused.",
    ),
    "no spare CPU": Advice(
        "Give one thread less, or use a machine with one CPU more.",
        "Whatever else runs, the system itself included, has a CPU that is not being timed.",
    ),
    "pinning": Advice(
        "Allow sched_setaffinity in the container's seccomp profile, or give --environment native.",
        "XLA takes its number of threads from affinity alone, and threads that are not pinned move between CPUs.",
    ),
    "cgroup CPU limit": Advice(
        "Raise the quota (resources.limits.cpu in Kubernetes), or pin without one (--cpuset-cpus):\n"
        "    docker run --cpus={threads} ...",
        "A group that has used its quota up stands still until the next period, 0.1 s by default "
        "(https://docs.kernel.org/scheduler/sched-bwc.html), in the middle of what is timed.",
    ),
    "other runs": Advice(
        "Wait until it has ended, or end it.",
        "Two runs take caches, memory and, where both are pinned to the same CPUs, half of the time from each other.",
    ),
    "governor": Advice(
        "Until the next start:\n    sudo cpupower frequency-set -g performance",
        "The clock no longer follows the load, which differs from launch to launch "
        "(https://llvm.org/docs/Benchmarking.html).",
    ),
    "boost": Advice(
        "For comparisons, until the next start:\n    echo {value} | sudo tee {file}",
        "Slower, but the clock depends less on heat and on what other cores do "
        "(https://docs.kernel.org/admin-guide/pm/cpufreq.html, rationale for boost control).",
    ),
    "host's clock": Advice(
        "The host decides, not its guests. The core speed below is what comes of it.",
        "",
    ),
    "siblings": Advice(
        f"Until the next start:\n    echo off | sudo tee {CPUS}/smt/control",
        "Nothing else runs on the cores that are timed (https://llvm.org/docs/Benchmarking.html).",
    ),
    "host's siblings": Advice(
        "A host may run two CPUs of yours, or a neighbour's and yours, on one core: ask for whole cores.",
        "Two busy threads on one core are each slower than one alone.",
    ),
    "virtual machine": Advice(
        "For differences of a few per cent use a machine, or a dedicated host, of your own; here, one thread and "
        "more rounds.",
        "Neighbours share cache and memory, unseen; two threads were bimodal on such a machine (docs/launches.md).",
    ),
    "steal": Advice(
        "Come back when the host is quieter, or take a kind of machine whose CPUs are not shared.",
        "A launch waits for as long as others have its CPU.",
    ),
    "silent hypervisor": Advice(
        "This hypervisor may not report what it takes. The core speed below tells more.",
        "",
    ),
    "load": Advice(
        "Stop what you do not need; the busiest are listed by\n    top -b -n 1 | head -n 15",
        "They take processors, caches and memory from what is timed.",
    ),
    "memory available": Advice(
        "Close what you do not need, or take a larger machine.",
        "A launch that finds no memory is killed, or waits for swap.",
    ),
    "cgroup memory limit": Advice(
        "Raise it:\n    docker run --memory=4g ...",
        "A launch that exceeds the limit is killed.",
    ),
    "swap": Advice(
        "Once there is memory for it, bring it back:\n    sudo swapoff -a && sudo swapon -a",
        "No step waits for a page from disk.",
    ),
    "huge pages": Advice(
        "Until the next start:\n    echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
        "khugepaged no longer joins a program's pages while it is timed, earlier in one launch than in another "
        "(https://docs.kernel.org/admin-guide/mm/transhuge.html).",
    ),
    "clocksource": Advice(
        "If available_clocksource lists tsc:\n"
        "    cd /sys/devices/system/clocksource/clocksource0\n"
        "    echo tsc | sudo tee current_clocksource",
        "A reading of the clock is no system call any more.",
    ),
    "clock": Advice(
        "See clocksource; or something intercepts system calls (a sandbox such as gVisor, a tracer).",
        "Every latency that is reported contains one reading.",
    ),
    "core speed": Advice(
        "{first}See governor and turbo/boost, and the temperature.",
        "Whatever is timed varies by about as much, from one tenth of a second to the next.",
    ),
    "core speed of a guest": Advice(
        "{first}The hypervisor gives the core, or the core's other thread, to neighbours at times (steal counts only "
        "the former), or its clock changes. Use a host of your own, or more rounds.",
        "Whatever is timed varies by about as much, from one tenth of a second to the next.",
    ),
    "memory speed": Advice(
        "{first}The core is steady, so it is not its clock: other processes use the cache or memory that it shares.",
        "Backends that move more data vary more.",
    ),
    "memory speed of a guest": Advice(
        "{first}The core is steady, so it is neither its clock nor the hypervisor: neighbours use the shared cache or "
        "memory. Use a host of your own, or more rounds.",
        "Backends that move more data vary more.",
    ),
    "a program beside": Advice(
        "Let nothing else run while you time.",
        "A program on another CPU takes cache and memory from the one that is timed, and more from some frameworks "
        "than from others. So launches take turns, and are never timed two at once (docs/noise.md).",
    ),
    "core speed first": Advice(
        "See core speed first: memory cannot look steadier than the core that reads it.",
        "",
    ),
    "energy": Advice("{reason}", "The energy columns stay empty."),
    "energy for root": Advice(
        "{reason} For everybody, until the next start (but see CVE-2020-8694):\n"
        "    sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj",
        "The energy columns are filled.",
    ),
    "perf": Advice(
        "To look into a launch with perf:\n    sudo sysctl kernel.perf_event_paranoid=2",
        "No column needs it.",
    ),
    "threads": Advice(
        "This installation does not obey; if other launches of it do, look at {backend}'s own settings.",
        "Its launches fail: a control that does not take is an error, not a note (docs/launches.md).",
    ),
    "no answer": Advice(
        "See what is installed, and with which interpreter:\n    lenet-bench list",
        "{backend} cannot be measured here.",
    ),
}
