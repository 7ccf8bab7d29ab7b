"""nnspec from Python, by the names of the command line: train, sweep, and ask what was filed."""

from nnspec.api.filed import Report as Report
from nnspec.api.filed import cite as cite
from nnspec.api.filed import compare as compare
from nnspec.api.filed import diff as diff
from nnspec.api.filed import explain as explain
from nnspec.api.filed import export as export
from nnspec.api.filed import load as load
from nnspec.api.filed import promote as promote
from nnspec.api.filed import remedy as remedy
from nnspec.api.filed import report as report
from nnspec.api.filed import table as table
from nnspec.api.maps import load_map as load_map
from nnspec.api.maps import map as map
from nnspec.api.maps import map_study as map_study
from nnspec.api.result import TrainResult as TrainResult
from nnspec.api.training import plan as plan
from nnspec.api.training import sweep as sweep
from nnspec.api.training import train as train
