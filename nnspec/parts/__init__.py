"""Parts of a user's own: entries that Python code adds to the catalog, by decorators.

A spec names them and never says where they are: they come from files that a command names (``--parts``), from Python,
or from the entry points ``nnspec.parts`` of installed packages.
"""

from nnspec.parts.declaring import activation as activation
from nnspec.parts.declaring import data as data
from nnspec.parts.declaring import init as init
from nnspec.parts.declaring import loss as loss
from nnspec.parts.declaring import model as model
from nnspec.parts.declaring import optimizer as optimizer
from nnspec.parts.loading import load as load
from nnspec.parts.parameters import param as param
