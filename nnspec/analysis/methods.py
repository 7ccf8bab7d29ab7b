"""How the statistics of this package are done, in sentences for a paper: each says what the module beside it does."""

from __future__ import annotations

# intervals.wilson_interval, by stats.solve_rates
RATES = "Shares of solved networks have 95% Wilson score intervals (1927)."
# stats.design_effects
CLUSTERS = (
    "Networks of one seed share their first weights, so where cells that share seeds are pooled, their number is "
    "divided by the design effect (Kish 1965): the interval counts as many networks as the spread between seeds "
    "supports."
)
# solving.survival
TIMES = (
    "Medians of updates to solve are those of Kaplan and Meier's curve (1958); networks that did not solve are "
    "censored at their last update."
)
# differences.paired_difference, differences.independent_difference, pairs.holm
PAIRS = (
    "Two levels of a factor are compared on networks paired by seed, under the same other factors: the difference "
    "of their shares is tested by flipping the signs of the seeds' differences, which is McNemar's exact test "
    "(1947) where each seed has one pair, and its interval is that of the same test. Levels whose seeds differ are "
    "compared by Miettinen and Nurminen's score test (1985). P-values are two-sided and corrected for the number of"
    " pairs by Holm's method (1979); intervals are not."
)
# means.paired_mean_difference, means.independent_mean_difference, stats.measure_means
MEANS = (
    "Means of losses and accuracies have t intervals over seeds; their differences are tested by the paired t-test,"
    " or by Welch's where seeds differ. A network without a finite value counts as the worst."
)
# variance.effects
EFFECTS = (
    "The importance of a factor is its share of the sum of squares of the cells' shares or means (type II where "
    "combinations are missing)."
)
# sequential.looks
LOOKS = (
    "Networks were added to each cell until its interval was narrow enough; the cells' own intervals, exact ones "
    "(Clopper and Pearson 1934) at a level that allows for the looks on the way, hold 95% all the same, and the "
    "Wilson intervals of tables do not allow for it."
)
# racing.Rule, racing.anytime_interval
RACE = (
    "The cells raced on the same seeds: each got more networks until another was shown to solve more often, by betting "
    "on the difference of the two in each seed (Waudby-Smith and Ramdas 2024), at 95% confidence for the whole race "
    "(successive elimination, Even-Dar et al. 2006). The cells' own intervals are confidence sequences (Robbins 1970), "
    "which hold 95% whenever a cell is stopped; the Wilson intervals of tables do not allow for it."
)


def statistics(
    pairs: bool = True, shared_seeds: bool = True, means: bool = True, looks: bool = False, race: bool = False
) -> list[str]:
    """The sentences that apply: to comparisons, to cells that share seeds, to measures with means, to
    ``replicates=auto``, to a race."""
    chosen = [
        RATES,
        CLUSTERS if shared_seeds else "",
        LOOKS if looks else "",
        RACE if race else "",
        TIMES,
        PAIRS if pairs else "",
        MEANS if means else "",
        EFFECTS if pairs else "",
    ]
    return [sentence for sentence in chosen if sentence]
