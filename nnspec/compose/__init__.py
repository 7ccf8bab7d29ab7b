"""From overrides to checked values: Hydra composes, and every fault it or the spec has comes out as one clear line."""

from nnspec.compose.api import checked_config as checked_config
from nnspec.compose.api import compose as compose
from nnspec.compose.api import load_spec as load_spec
from nnspec.compose.api import resolved as resolved
from nnspec.compose.api import spec as spec
from nnspec.compose.archived import with_archived as with_archived
from nnspec.compose.command import command_line as command_line
from nnspec.compose.composer import Composer as Composer
from nnspec.compose.explain import explain as explain
from nnspec.compose.folders import conf_dir as conf_dir
from nnspec.compose.loader import loader as loader
from nnspec.compose.plugin import find_plugin as find_plugin
from nnspec.compose.said import heed as heed
from nnspec.compose.said import heed_sweep as heed_sweep
from nnspec.compose.said import refuse_axes as refuse_axes
from nnspec.compose.said import refuse_choices as refuse_choices
from nnspec.compose.said import stated as stated
from nnspec.settings import settings_from as settings_from
