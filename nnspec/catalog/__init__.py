"""Everything that a spec can name: one registry a kind, one frozen entry a member, each fact about it once.

Nothing here imports torch: formulas take the namespace ``xp`` of whichever array library evaluates them, so the same
lines serve the NumPy reference, the stacked trainer and the pictures.
"""

from nnspec.catalog.activations import ACTIVATIONS as ACTIVATIONS
from nnspec.catalog.activations import OUTPUTS as OUTPUTS
from nnspec.catalog.activations import Activation as Activation
from nnspec.catalog.activations import Bound as Bound
from nnspec.catalog.data import DATA as DATA
from nnspec.catalog.data import DataEntry as DataEntry
from nnspec.catalog.data import DataSet as DataSet
from nnspec.catalog.data import Size as Size
from nnspec.catalog.inits import INITS as INITS
from nnspec.catalog.inits import Init as Init
from nnspec.catalog.inits import bias_param
from nnspec.catalog.losses import LOSSES as LOSSES
from nnspec.catalog.losses import Loss as Loss
from nnspec.catalog.models import AUTO as AUTO
from nnspec.catalog.models import MODELS as MODELS
from nnspec.catalog.models import STAND_INS as STAND_INS
from nnspec.catalog.models import Model as Model
from nnspec.catalog.optimizers import OPTIMIZERS as OPTIMIZERS
from nnspec.catalog.optimizers import Optimizer as Optimizer
from nnspec.catalog.origins import source_param
from nnspec.catalog.schedules import SCHEDULES as SCHEDULES
from nnspec.catalog.schedules import Schedule as Schedule
from nnspec.params import Many, Optional, Param, Real, Text, Value
from nnspec.registry import Entry, Registry

PER_LAYER, LR_PER_LAYER = "per_layer", "lr_per_layer"
ACTIVATION_PER_LAYER = Param(
    PER_LAYER, None, Optional(Many(Text())), "activations of the hidden layers, input side first", kept=False
)
BY_LAYER: dict[type, tuple[Param, ...]] = {
    Activation: (ACTIVATION_PER_LAYER,),
    Init: (Param(PER_LAYER, None, Optional(Many(Text())), "schemes of the linear layers", kept=False),),
    Optimizer: (
        Param(
            LR_PER_LAYER,
            None,
            Optional(Many(Real(0, open_low=True))),
            "learning rates of the linear layers, in place of lr",
            kept=False,
        ),
    ),
}
REGISTRIES: dict[str, Registry] = {
    "model": MODELS,
    "activation": ACTIVATIONS,
    "init": INITS,
    "optimizer": OPTIMIZERS,
    "loss": LOSSES,
    "data": DATA,
    "schedule": SCHEDULES,
}


def parameters(entry: Entry) -> tuple[Param, ...]:
    """The parameters that a spec keeps of a member: its own, of an initialisation the bias's scheme, those that each
    member of its kind takes besides, and of a user's part where it comes from."""
    own = entry.params + (bias_param(entry) if isinstance(entry, Init) else ())
    return own + BY_LAYER.get(type(entry), ()) + source_param(entry)


def unsaid(group: str, name: str) -> dict[str, Value]:
    """The parameters that a spec keeps of a member only where they are not at their defaults, with these."""
    if name == AUTO:
        return {PER_LAYER: None} if group == "activation" else {}
    if name not in REGISTRIES[group]:
        return {}
    return {param.name: param.default for param in parameters(REGISTRIES[group][name]) if not param.kept}


def entry_name(group: str, name: object) -> object:
    """What a name in a group stands for: an alias (``init=he_uniform``) for the entry that has it; see
    ``Registry.named``."""
    return REGISTRIES[group].named(name) if group in REGISTRIES and isinstance(name, str) else name
