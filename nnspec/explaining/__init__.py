"""Why networks did not learn, in words, and what verdicts mean."""

from nnspec.explaining.filed import RunExplanation as RunExplanation
from nnspec.explaining.filed import explain_run as explain_run
from nnspec.explaining.filed import sweep_explanations as sweep_explanations
from nnspec.explaining.networks import Explanation as Explanation
from nnspec.explaining.networks import explained as explained
from nnspec.explaining.networks import explained_result as explained_result
from nnspec.explaining.networks import explained_table as explained_table
from nnspec.explaining.networks import lines as lines
from nnspec.explaining.verdict import VerdictExplanation as VerdictExplanation
from nnspec.explaining.verdict import explain_verdict as explain_verdict
