"""The stages of a comparison, in the order in which a fault in one makes those behind it part too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nnspec.catalog import OPTIMIZERS
from nnspec.problem import Problem
from nnspec.reference import Tensors, forward, loss_of
from nnspec.specs import RunSpec
from nnspec.verifying.given import Given, NotCompared, VerifyError, checked_array
from nnspec.verifying.gradients import BackwardFault, all_gradients, factor_words, gradient_finding
from nnspec.verifying.locating import cut_at, place_words
from nnspec.verifying.numbers import GRADIENTS, OUTPUTS, Numbers, agree
from nnspec.verifying.outputs import SINGLE, Points, logits_agree, output_finding
from nnspec.verifying.placing import Placement, placements
from nnspec.verifying.report import Finding, VerifyReport
from nnspec.verifying.updates import UPDATES, expected, update_finding

START, MOVED = "at nnspec's start", "near nnspec's start"
Stage = Finding | str | None  # what parts; or why it is not compared; or nothing: it agrees
RANDOM = "dropout, other noise or a batch norm"


@dataclass
class Comparison:
    """A network beside nnspec's: ``start`` the weights to begin from, ``moved`` other ones."""

    given: Given
    spec: RunSpec
    problem: Problem
    start: Tensors
    moved: Tensors

    def __post_init__(self) -> None:
        self.points: Points = {START: self.start, MOVED: self.moved}
        arrays = self.given.parameters()
        self.kind = "float64" if all(array.dtype == np.float64 for array in arrays) else "float32"
        wanted = self.problem.shape.tensors()
        self.choices = placements(wanted, [array.shape for array in arrays])
        self.placement: Placement = self.choices[0]
        self.logits = False
        self.compared_gradients = False

    def report(self) -> VerifyReport:
        """Every stage up to the first that parts; the network has nnspec's start afterwards."""
        stages: dict[str, Callable[[], Stage]] = {
            "dtype": self.compare_dtype,
            "outputs": self.compare_outputs,
            "loss": self.compare_loss,
            "gradients": self.compare_gradients,
            "updates": self.compare_updates,
        }
        agreed, notes = [], []
        finding = None
        for name, stage in stages.items():
            try:
                outcome = stage()
            except NotCompared as reason:
                outcome = f"The {name} were not compared: {reason}."
            if isinstance(outcome, Finding):
                finding = outcome
                break
            if outcome is None:
                agreed.append(name)
            else:
                notes.append(outcome)
        self.put(self.start)
        findings = () if finding is None else (finding,)
        return VerifyReport(findings, tuple(agreed), (*self._about(), *notes))

    def put(self, weights: Tensors) -> None:
        """Write nnspec's tensors into the network."""
        self.given.put(self.placement.outward(weights))

    def compare_dtype(self) -> Stage:
        """The precision of the parameters, which may be higher than the spec's."""
        kinds = sorted({str(array.dtype) for array in self.given.parameters()} - {self.spec.dtype, "float64"})
        if not kinds:
            return None
        words = f"the parameters have the wrong dtype: {', '.join(kinds)}, not the spec's {self.spec.dtype}"
        return Finding("dtype", f"Make the arrays with dtype={self.spec.dtype}.", (words,))

    def compare_outputs(self) -> Stage:
        """The forward pass at both points; square matrices, where nothing else tells, the way that agrees."""
        seen = []
        for choice in self.choices:
            self.placement = choice
            theirs = self._outputs()
            if isinstance(theirs, Finding):
                return theirs
            logits = logits_agree(self.problem, self.points, theirs, OUTPUTS[self.kind])
            if logits is not None:
                self.logits = logits
                return None
            seen.append(theirs)
        self.placement = self.choices[0]
        finding = output_finding(self.problem, self.points, seen[0], OUTPUTS[self.kind])
        if finding.causes and finding.causes != (SINGLE,):
            return finding
        if self.given.differs_in_training(self.problem.inputs):
            return replace(finding, causes=(f"{RANDOM} is in the network: in training its outputs are others",))
        return finding if finding.causes else replace(finding, where=f"{finding.where} {self._place()}".strip())

    def _place(self) -> str:
        """The layer that an unknown fault is in, in words."""
        theirs = []
        for number in range(len(self.problem.shape.dense)):
            self.put(cut_at(self.problem, self.moved, number))
            shape = self.problem.targets.shape
            theirs.append(checked_array("the outputs of forward(x)", self.given.outputs(self.problem.inputs), shape))
        return place_words(self.problem, self.moved, theirs, OUTPUTS[self.kind])

    def _outputs(self) -> Numbers | Finding:
        shape = self.problem.targets.shape
        theirs = {}
        for where, weights in self.points.items():
            self.put(weights)
            x = self.problem.inputs
            first, second = (checked_array("the outputs of forward(x)", self.given.outputs(x), shape) for _ in range(2))
            if not np.array_equal(first, second):
                cause = f"{RANDOM} is left on in evaluation: two calls with the same rows give other outputs"
                return Finding("outputs", f"They differ by up to {np.abs(first - second).max():.3g}.", (cause,))
            theirs[where] = first
        return theirs

    def compare_loss(self) -> Stage:
        """The network's own loss, if it has one."""
        ours, theirs = {}, {}
        for where, weights in self.points.items():
            self.put(weights)
            found = self.given.loss(self.problem.inputs, self.problem.targets)
            if found is None:
                return "The loss was not compared: the network has no loss(x, y)."
            theirs[where] = checked_array("loss(x, y)", found, ())
            ours[where] = np.array(loss_of(self.problem, forward(self.problem, weights)[-1]))
        if agree(ours, theirs, OUTPUTS[self.kind]):
            return None
        return self._loss_finding(ours, theirs)

    def _loss_finding(self, ours: Numbers, theirs: Numbers) -> Finding:
        where = f"At nnspec's start it is {float(theirs[START]):.6g}, nnspec's {float(ours[START]):.6g}."
        ratios = [float(theirs[name] / ours[name]) if ours[name] else 0.0 for name in ours]
        if ratios[0] and abs(ratios[1] / ratios[0] - 1) < 1e-6:
            return Finding("loss", where, (factor_words(self.problem, ratios[0]),))
        return Finding("loss", where)

    def compare_gradients(self) -> Stage:
        """Every tensor's gradient at both points."""
        if OPTIMIZERS[self.spec.optimizer.name].by_rows:
            return f"Gradients were not compared: optimizer={self.spec.optimizer.name} needs none."
        x, y = self.problem.inputs, self.problem.targets
        if self.given.differs_in_training(x):
            cause = f"{RANDOM} is on in training, which the spec has not"
            return Finding("gradients", "In training mode the outputs are others than in evaluation.", (cause,))
        theirs: dict[str, np.ndarray] = {}
        for where, weights in self.points.items():
            self.put(weights)
            found = self.given.gradients(x, y, self.logits)
            if found is None:
                return "Gradients were not compared: the network has no gradients(x, y)."
            by_name = self._by_name(found)
            theirs.update({f"{name}, {where}": gradient for name, gradient in by_name.items()})
        self.compared_gradients = True
        ours = all_gradients(BackwardFault("", self.problem), self.points)
        if agree(ours, theirs, GRADIENTS[self.kind]):
            return None
        return gradient_finding(self.problem, self.points, theirs, GRADIENTS[self.kind])

    def _by_name(self, found: list[np.ndarray | None]) -> Tensors:
        given = self.placement.given
        if len(found) != len(given):
            raise VerifyError(
                f"gradients(x, y) must return {len(given)} arrays, one a parameter and in their order, but got "
                f"{len(found)}; return None for one that is missing"
            )
        filled = [np.zeros(shape) if g is None else g for g, shape in zip(found, given, strict=True)]
        return self.placement.inward("the gradient of", filled)

    def compare_updates(self) -> Stage:
        """The weights after each of the first updates from nnspec's start."""
        self.put(self.start)
        theirs: dict[str, np.ndarray] = {}
        for number in range(1, UPDATES + 1):
            try:
                if not self.given.step(self.problem.inputs, self.problem.targets, self.logits):
                    return "Updates were not compared: the network has no step(x, y)."
            except NotCompared:
                if not theirs:
                    raise
                break  # those before can be compared
            weights = self.placement.inward("the parameter", self.given.parameters())
            theirs.update({f"{name}, after update {number}": w for name, w in weights.items()})
        ours = expected(self.problem, self.spec, self.start)
        if agree(ours, theirs, GRADIENTS[self.kind]):
            return None
        blame = not self.compared_gradients
        return update_finding(self.problem, self.spec, self.start, theirs, GRADIENTS[self.kind], blame)

    def _about(self) -> list[str]:
        """What was compared, and how."""
        rows = len(self.problem.inputs)
        notes = [f"Compared on {rows} training rows in {self.kind}, to {OUTPUTS[self.kind]}."]
        if self.logits:
            notes.append(f"The outputs are logits, which loss={self.spec.loss.name} may take: they are right.")
        if self.placement.turned:
            notes.append(f"Matrices that stand as [in, out]: {', '.join(sorted(self.placement.turned))}.")
        return notes
