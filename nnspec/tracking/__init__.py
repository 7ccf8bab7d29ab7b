"""Filing runs in MLflow and reading them back. Light to import: MLflow, SQLAlchemy and PyArrow load when first
needed."""

from nnspec.tracking.finding import NamingError as NamingError
from nnspec.tracking.finding import cell_run as cell_run
from nnspec.tracking.finding import cell_runs as cell_runs
from nnspec.tracking.finding import find_run as find_run
from nnspec.tracking.finding import opened as opened
from nnspec.tracking.opening import open_store as open_store
from nnspec.tracking.packs.store import CellStore as CellStore
from nnspec.tracking.packs.writing import PackedCell as PackedCell
from nnspec.tracking.read import check_shapes as check_shapes
from nnspec.tracking.read import read_checked_spec as read_checked_spec
from nnspec.tracking.read import read_weights as read_weights
from nnspec.tracking.records import DatasetInfo as DatasetInfo
from nnspec.tracking.records import RunEnd as RunEnd
from nnspec.tracking.records import RunStart as RunStart
from nnspec.tracking.results import checked_results as checked_results
from nnspec.tracking.results import read_parquet as read_parquet
from nnspec.tracking.results import read_results as read_results
from nnspec.tracking.results import times_of as times_of
from nnspec.tracking.spool import Unfiled as Unfiled
from nnspec.tracking.spool import spool as spool
from nnspec.tracking.store import RunQuery as RunQuery
from nnspec.tracking.store import Store as Store
from nnspec.tracking.unspool import file_spool as file_spool
