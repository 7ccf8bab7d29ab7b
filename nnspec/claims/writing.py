"""The claims of a study with their verdicts, for a terminal, a JSON document, and a page that git can diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from nnspec.analysis.sequential import MOST_CLAIMS as MOST
from nnspec.analysis.writing import markdown, markdown_table
from nnspec.claims.judging import MAPS, Judged
from nnspec.study import HOLDS, REFUTED, UNDECIDED, Study

STUDY_TAG = "nnspec.study"  # of a run in MLflow: how many claims hold, are refuted, are undecided
PAGE = "study.md"
ORDER = (REFUTED, UNDECIDED, HOLDS)


def tally(judged: Sequence[Judged]) -> str:
    """``4 claims hold, 1 is refuted``."""
    counts = Counter(each.verdict for each in judged)
    said: list[str] = []
    for verdict in (HOLDS, REFUTED, UNDECIDED):
        count, noun = counts[verdict], "" if said else "claim " if counts[verdict] == 1 else "claims "
        verb = {HOLDS: "holds" if count == 1 else "hold"}.get(verdict, f"{'is' if count == 1 else 'are'} {verdict}")
        if count:
            said.append(f"{count} {noun}{verb}")
    return ", ".join(said)


def verdict_of(judged: Sequence[Judged]) -> str:
    """The verdict on a study: that of its worst claim, as far as it is not the expected one."""
    found = {HOLDS if each.verdict == each.claim.expected else each.verdict for each in judged}
    return next(verdict for verdict in ORDER if verdict in found)


def lines(study: Study, judged: Sequence[Judged]) -> Iterator[str]:
    """The question, and two lines a claim."""
    yield study.question
    for each in judged:
        expected = each.claim.expected
        missed = "" if expected in (HOLDS, each.verdict) else f" (expected: {expected})"
        yield f"{each.verdict:<11}{each.claim.says}{missed}"
        yield f"{'':<11}{detail(each)}"
    yield f"{tally(judged)}; all intervals together hold with {100 * study.confidence:g}%"


def detail(each: Judged) -> str:
    """What was found of what, and what was claimed; of an undecided one how many networks it needs."""
    more = len(each.parts) - 1
    others = f" (and {more} more)" if more else ""
    text = f"{each.claim.subject}: {each.telling}{others}; claimed {each.claim.relation}"
    return f"{text}; {_more(each)}" if each.verdict == UNDECIDED else text


def _more(each: Judged) -> str:
    """What decides an undecided claim."""
    if not each.telling.found.networks:
        return f"it takes {each.telling.unit} of which it speaks: more replicates may have some"
    if each.needed is None:
        return f"it lies on the edge, and no number of {each.telling.unit} is known to decide it"
    if each.telling.unit == MAPS:
        return f"to decide it takes about replicates={each.needed}"
    most = f" train.most_replicates={2 * each.needed}" if 2 * each.needed > MOST else ""
    return f"to decide it takes about replicates={each.needed}, or replicates=auto{most}"


def content(study: Study, judged: Sequence[Judged]) -> dict[str, object]:
    """The study as ``--json`` prints it."""
    return {
        "question": study.question,
        "source": study.source,
        "confidence": study.confidence,
        "claims": [
            {
                "says": each.claim.says,
                "verdict": each.verdict,
                "expected": each.claim.expected,
                "measure": each.claim.measure,
                "among": each.claim.among,
                "claimed": str(each.claim.relation),
                "replicates_needed": each.needed,
                "parts": [
                    {
                        "label": part.label,
                        "verdict": part.verdict,
                        **part.found._asdict(),
                    }
                    for part in each.parts
                ],
            }
            for each in judged
        ],
    }


def page(
    name: str,
    study: Study,
    judged: Sequence[Judged],
    command: str,
    figure: str | None = None,
    maps: str | None = None,
) -> str:
    """The study as Markdown: the same text for the same outcome, so that a diff shows what has changed. ``figure`` and
    ``maps`` name the pictures beside it."""
    head = ["---", f"study: {name}", f"verdict: {verdict_of(judged)}", "---", f"# {markdown(study.question)}", ""]
    head += [markdown(f"Source: {study.source.removesuffix('.')}."), ""]
    head += [markdown(study.setup), ""] if study.setup else []
    head += [f"**{tally(judged)}**; all intervals together hold with {100 * study.confidence:g}%.", ""]
    head += ["```bash", command, "```", ""]
    head += [f"![The claims with their intervals]({figure})", ""] if figure else []
    head += [f"![Maps of the first seed]({maps})", ""] if maps else []
    rows = []
    for each in judged:
        says = each.claim.says
        for part in each.parts:
            verdict = part.verdict if len(each.parts) > 1 else each.verdict
            rows.append((says, verdict, str(part), str(each.claim.relation)))
            says = ""
    heads = ("claim", "verdict", "measured", "claimed")
    table = markdown_table(heads, rows, left=len(heads))
    subjects = [f"- {markdown(each.claim.says)}: {markdown(each.claim.subject)}" for each in judged]
    return "\n".join([*head, table, "", "What each claim measures:", "", *subjects, ""])
