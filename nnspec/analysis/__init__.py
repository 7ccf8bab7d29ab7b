"""From the table of a sweep to rates with intervals, comparisons, figures and reports. Imports no torch; heavy
libraries late."""

from __future__ import annotations

from nnspec.analysis.differences import Difference as Difference
from nnspec.analysis.differences import independent_difference as independent_difference
from nnspec.analysis.differences import paired_difference as paired_difference
from nnspec.analysis.levels import AnalysisError as AnalysisError
from nnspec.analysis.levels import axes_of as axes_of
from nnspec.analysis.levels import widest as widest
from nnspec.analysis.means import independent_mean_difference as independent_mean_difference
from nnspec.analysis.means import paired_mean_difference as paired_mean_difference
from nnspec.analysis.measures import MEASURES as MEASURES
from nnspec.analysis.pairs import axes_to_compare as axes_to_compare
from nnspec.analysis.pairs import compare as compare
from nnspec.analysis.pairs import holm as holm
from nnspec.analysis.pooling import pooled as pooled
from nnspec.analysis.sequential import Looks as Looks
from nnspec.analysis.sequential import exact_interval as exact_interval
from nnspec.analysis.sequential import looks as looks
from nnspec.analysis.sequential import needed_replicates as needed_replicates
from nnspec.analysis.solving import Survival as Survival
from nnspec.analysis.solving import survival as survival
from nnspec.analysis.solving import survival_table as survival_table
from nnspec.analysis.stats import loss_quantiles as loss_quantiles
from nnspec.analysis.stats import measure_means as measure_means
from nnspec.analysis.stats import solve_rates as solve_rates
from nnspec.analysis.stats import summary as summary
from nnspec.analysis.tables import Pivot as Pivot
from nnspec.analysis.tables import best_and_worst as best_and_worst
from nnspec.analysis.tables import failures as failures
from nnspec.analysis.tables import pivot as pivot
from nnspec.analysis.tables import render as render
from nnspec.analysis.tables import render_frame as render_frame
from nnspec.analysis.tables import write_csv as write_csv
from nnspec.analysis.variance import effects as effects
from nnspec.analysis.writing import FORMATS as FORMATS
from nnspec.analysis.writing import write as write
