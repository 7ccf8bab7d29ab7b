"""Made-up command lines: all commands, flags, config groups and keys, with values that fit and values that do not."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from functools import cache
from random import Random

import values

from nnspec.catalog import REGISTRIES, parameters
from nnspec.cli.main import COMMANDS, main
from nnspec.compose.archived import grammar

RUNS = ("last", "@SWEEP@", "@SINGLE@", "@CELL@", "0", "abc", "%", "_", "a'b", "..", "sweep")
AXES = ("activation", "init", "seed", "optimizer.lr", "activation.negative_slope", "run_id", "solved", "nosuch", "")
NUMBER = re.compile(r"\d[\d_]{2,}|\d[eE]\+?\d|0x|auto|inf")
COSTLY = (
    "epochs",
    "replicates",
    "hidden",
    "bits",
    "range",
    "seed",
    "experiment",
)  # what makes a run long where it is large
CHEAP = {"train.epochs": ("1", "2", "3", "5"), "train.workers": ("1",), "sweep.report": ("false",)}
HYDRA = (
    *(
        "hydra.run.dir=.",
        "hydra.run.dir=a/b",
        "hydra.sweep.dir=x",
        "hydra.verbose=true",
        "hydra.verbose=[nosuch]",
        "hydra.job.name=''",
    ),
    *(
        "hydra.job.chdir=true",
        "hydra.output_subdir=null",
        "hydra.output_subdir=o",
        "hydra.mode=MULTIRUN",
        "hydra.mode=x",
        "hydra=null",
    ),
    *(
        "hydra.job.env_set.A=b",
        "hydra.job.env_copy=[HOME]",
        "hydra.searchpath=[file://confs]",
        "hydra.searchpath=[pkg://os]",
        "hydra.x=1",
    ),
    *(
        "hydra/launcher=basic",
        "hydra/sweeper=basic",
        "hydra/sweeper=nosuch",
        "hydra/job_logging=default",
        "hydra/help=default",
        "~hydra",
    ),
    *(
        "hydra.job.config_name=x",
        "hydra.runtime.cwd=/",
        "hydra.help.template=x",
        "hydra/output=default",
        "hydra.sweeper.params={seed: 1}",
    ),
    *(
        "hydra.sweeper._target_=nnspec_canary.run",
        "hydra.launcher._target_=nnspec_canary.run",
        "hydra.job.override_dirname=x",
    ),
)
SWEEPING = (
    *(
        "sweep.zip=[[activation,init]]",
        "sweep.zip=[[activation,activation]]",
        "sweep.zip=[[seed]]",
        "sweep.exclude=[{seed: 1}]",
    ),
    *(
        "sweep.exclude=[{activation: relu}]",
        "sweep.exclude=[{nosuch: 1}]",
        "sweep.include=[{activation: sine}]",
        "sweep.include=[{}]",
    ),
    *(
        "sweep.include=[{optimizer.lr: 1e400}]",
        "sweep.table=[activation,seed]",
        "sweep.table=[seed,seed]",
        "sweep.table=[nosuch]",
    ),
    *(
        "sweep.csv=t.csv",
        "sweep.csv=folder",
        "sweep.csv=/nosuch/t.csv",
        "sweep.csv=a/b/t.csv",
        "shard=0/2",
        "shard=5/9",
        "resume=last",
    ),
    *(
        "resume=@SWEEP@",
        "resume=@SINGLE@",
        "resume=nosuch",
        "reuse=true",
        "timings=true",
        "remedy=true",
        "tracking=off",
        "tracking.writer=client",
    ),
)


def command_line(seed: int) -> list[str]:
    """Words for ``nnspec``. ``@SWEEP@``, ``@SINGLE@`` and ``@CELL@`` stand for the ids of runs that are there."""
    chance = Random(f"command line {seed}")
    weights = {"run": 60, "show": 12}
    command = chance.choices([*COMMANDS, "nosuch"], [weights.get(name, 4) for name in [*COMMANDS, "nosuch"]])[0]
    if command in ("run", "show"):
        words = [command, *overrides(chance, command == "run")]
    else:
        words = [command, *arguments(chance, command)]
    return [word.replace("\x00", "") for word in words]  # no system passes on a word with a zero


def overrides(chance: Random, run: bool) -> list[str]:
    """Hydra's part of a command line, kept cheap: what might train for long only shows its plan."""
    flags = [flag for _ in range(chance.choice((0, 0, 0, 1, 1, 2))) for flag in some_flag(chance)] if run else []
    sweeps = chance.random() < (0.3 if run else 0.05)
    if sweeps:
        flags.append(chance.choice(("-m", "--multirun", "--multi")))
    said = [word for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 5))) for word in override(chance, sweeps)]
    if chance.random() < 0.1:
        said.append(f"spec={chance.choice(values.FILES)}")
    said += [
        f"{key}={chance.choice(some)}"
        for key, some in CHEAP.items()
        if not any(word.startswith(f"{key}=") for word in said)
    ]
    costly = any(
        (NUMBER.search(word) and any(name in word for name in COSTLY)) or word.startswith("experiment") for word in said
    )
    if run and costly:
        flags.append("--plan")
    words = [*flags, *said]
    if chance.random() < 0.1:
        chance.shuffle(words)
    return words


def override(chance: Random, sweeps: bool) -> list[str]:
    """One override of any kind, or a member with one of its parameters."""
    if chance.random() < 0.3:
        return member(chance)
    kinds = {
        fitting: 10,
        unfitting: 22,
        choice: 14,
        target: 6,
        of_hydra: 6,
        of_sweeps: 6,
        store: 4,
        decorated: 6,
        broken: 6,
        file: 4,
    }
    if sweeps:
        kinds[swept] = 60
    return [chance.choices(list(kinds), list(kinds.values()))[0](chance)]


def member(chance: Random) -> list[str]:
    group, registry = chance.choice(list(REGISTRIES.items()))
    entry = chance.choice(list(registry))
    some = parameters(entry)
    said = chance.sample(some, min(len(some), chance.choice((0, 1, 1, 2))))
    return [
        f"{group}={entry.name}",
        *(f"{group}.{param.name}={grammar(values.accepted(chance, param.kind))}" for param in said),
    ]


def fitting(chance: Random) -> str:
    key = chance.choice(list(values.params()))
    param = chance.choice(values.params()[key])
    return f"{key}={grammar(values.accepted(chance, param.kind))}"


def unfitting(chance: Random) -> str:
    key = chance.choice(values.keys())
    return f"{key}={chance.choice(values.TEXTS) if chance.random() < 0.7 else grammar(values.odd(chance))}"


def choice(chance: Random) -> str:
    group = chance.choice(values.groups())
    good = values.names(group)
    if good and chance.random() < 0.75:
        return f"{group}={chance.choice(good)}"
    bad = (
        *values.TEXTS,
        "../model/mlp",
        "../../../etc/passwd",
        "/etc/passwd",
        "mlp.yaml",
        "../confs/experiment/evil",
        "evil",
        "launch",
    )
    return f"{group}={chance.choice(bad)}"


def target(chance: Random) -> str:
    evil = chance.choice(values.TARGETS)
    where = (
        "+foo",
        "+hydra.callbacks.x",
        "hydra.sweeper",
        "hydra.launcher",
        "model",
        "+activation.x",
        "++hydra.job_logging",
        "seed",
        "+a.b.c",
    )
    if chance.random() < 0.3:
        return f"{chance.choice(('+', '++', ''))}{chance.choice(where).strip('+')}._target_=nnspec_canary.run"
    return f"{chance.choice(where)}={chance.choice((evil, '${foo}'))}"


def of_hydra(chance: Random) -> str:
    return chance.choice(HYDRA)


def of_sweeps(chance: Random) -> str:
    return chance.choice(SWEEPING)


def store(chance: Random) -> str:
    if chance.random() < 0.3:
        return f"tracking.experiment={grammar(chance.choice(values.TEXTS))}"
    return f"tracking.uri={grammar(chance.choice(values.URIS))}"


def file(chance: Random) -> str:
    if chance.random() < 0.4:
        return f"spec={chance.choice((*values.FILES, '/dev/zero', '/dev/stdin', '/proc/self/mem', 'nosuch', '.', ''))}"
    return f"init.path={chance.choice(values.WEIGHTS)}"


def decorated(chance: Random) -> str:
    word = chance.choice((fitting, unfitting, choice))(chance)
    return chance.choice(
        (f"+{word}", f"++{word}", f"~{word}", f"~{word.partition('=')[0]}", word.replace("=", "@foo=", 1))
    )


def broken(chance: Random) -> str:
    return values.mangled(chance, chance.choice((fitting, unfitting, choice, swept, of_sweeps))(chance))


def swept(chance: Random) -> str:
    """A key or a group with several values, in one of Hydra's forms."""
    if chance.random() < 0.4:
        group = chance.choice(
            [group for group in values.groups() if values.names(group) and group not in ("experiment", "tracking")]
        )
        some = [chance.choice(values.names(group)) for _ in range(chance.randint(1, 3))]
        return f"{group}={','.join(some)}"
    if chance.random() < 0.4:
        ranges = (
            "seed=0,1",
            "seed=range(0,3)",
            "seed=choice(1,2)",
            "seed=range(0,1000000000)",
            "seed=range(3,0)",
            "seed=interval(0,1)",
        )
        odd = (
            "seed=range(0,3,0)",
            "seed=shuffle(1,2)",
            "seed=sort(2,1)",
            "seed=glob(*)",
            "activation=glob(s*)",
            "seed=tag(a,choice(1,2))",
        )
        return chance.choice(
            (*ranges, *odd, "seed=range(0,1,1e-9)", "optimizer.lr=0.1,0.1", "seed=choice()", "model.hidden=[1],[2,2]")
        )
    words = [chance.choice((fitting, unfitting))(chance) for _ in range(2)]
    return f"{words[0]},{words[1].partition('=')[2]}"


def some_flag(chance: Random) -> list[str]:
    """A flag of Hydra's or ours, whole or shortened, with an argument that may be the right one."""
    flag = chance.choice(hydra_flags())
    if flag.startswith("--") and chance.random() < 0.4:
        flag = flag[: chance.randint(3, len(flag))]
    argument = chance.choice(
        ("job", "all", "config", "confs", "primary", "canary.pkl", "nosuch", "conf", "defaults-tree", "searchpath", "")
    )
    return chance.choice(([flag], [flag], [flag, argument], [f"{flag}={argument}"]))


@cache
def hydra_flags() -> tuple[str, ...]:
    from hydra._internal.utils import get_args_parser

    from nnspec.cli.run import FLAGS

    return (*FLAGS, *(name for action in get_args_parser()._actions for name in action.option_strings))


def arguments(chance: Random, command: str) -> list[str]:
    """What a command on filed runs takes, as its own help says, and what it does not."""
    words: list[str] = []
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        words.append(chance.choice(values.TEXTS) if chance.random() < 0.2 else chance.choice(names_for(command)))
    for flag, kind in chance.sample(options(command), min(len(options(command)), chance.choice((0, 0, 1, 2)))):
        words.append(flag[: chance.randint(3, len(flag))] if chance.random() < 0.1 else flag)
        if kind:
            words.append(chance.choice((*said_for(kind), chance.choice(values.TEXTS))))
    if chance.random() < 0.1:
        chance.shuffle(words)
    return [word for word in words if word != "--open"]  # a browser is no part of this


def names_for(command: str) -> Sequence[str]:
    if command == "list":
        return ("activations", "inits", "models", "experiments", "nosuch")
    return ("nnspec-unfiled", *values.FILES) if command == "file" else RUNS


def said_for(kind: str) -> Sequence[str]:
    files = ("t.csv", "a/b/t.csv", "folder", "/nosuch/t", "empty.yaml/x", "/dev/full")
    said = {
        "URI": values.URIS,
        "FILE": files,
        "FOLDER": files,
        "AXIS": AXES,
        "N": ("0", "1", "99", "-1"),
        "P": ("0.9", "0", "1", "2"),
    }
    return said.get(kind, ("1", "x"))


@cache
def options(command: str) -> tuple[tuple[str, str], ...]:
    """The flags of a command with the kind of what they take, read from its help."""
    if command not in COMMANDS or command in ("list", "show"):
        return ()
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):
        main([command, "--help"])
    found = re.findall(r"^  (?:-\w, )?(--[\w-]+)(?: ([A-Z]+))?", text.getvalue(), re.MULTILINE)
    return tuple(found)
