"""What a store holds and what deleted runs left in it: told, and freed. ``held`` counts, ``leftovers`` finds,
``freeing`` frees; ``disk`` knows the folders of artifacts."""

from nnspec.tracking.contents.freeing import free as free
from nnspec.tracking.contents.freeing import pages as pages
from nnspec.tracking.contents.freeing import shrink as shrink
from nnspec.tracking.contents.held import Held as Held
from nnspec.tracking.contents.held import held as held
from nnspec.tracking.contents.leftovers import Leftovers as Leftovers
from nnspec.tracking.contents.leftovers import find as find
