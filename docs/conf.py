"""The site: ``python -m sphinx -W -b html docs OUT``. Notebooks run as it is built, each in an empty folder."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
# What notebooks run: this Python and its `nnspec`, filing into their own folder, whatever the builder's shell says.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
os.environ.pop("MLFLOW_TRACKING_URI", None)

project = "nnspec"
author = "the authors of nnspec"
project_copyright = "the authors of nnspec, Apache-2.0"
version = release = version_of("nnspec")

extensions = ["myst_nb", "sphinx_copybutton", "sphinx_design", "mathml", "play", "reference"]
exclude_patterns = ["_build", "_ext", "jupyter_execute"]
highlight_language = "text"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

nb_execution_mode = "force"  # a cache would keep the outputs of an older nnspec; -D nb_execution_mode=off while writing
nb_execution_in_temp = True
nb_execution_timeout = 240
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # they would come from elsewhere

html_theme = "furo"
html_title = "nnspec"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["nnspec.css"]
html_copy_source = False
html_show_sourcelink = False

copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
