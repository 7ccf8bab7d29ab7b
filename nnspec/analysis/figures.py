"""Every figure in one place: ``x_info`` computes what ``plot_x`` draws."""

from __future__ import annotations

from nnspec.analysis.draw import png as png
from nnspec.analysis.layer_figures import activation_info as activation_info
from nnspec.analysis.layer_figures import histograms_info as histograms_info
from nnspec.analysis.layer_figures import norms_info as norms_info
from nnspec.analysis.layer_figures import plot_activations as plot_activations
from nnspec.analysis.layer_figures import plot_histograms as plot_histograms
from nnspec.analysis.layer_figures import plot_norms as plot_norms
from nnspec.analysis.plane_figures import lines_info as lines_info
from nnspec.analysis.plane_figures import plot_lines as plot_lines
from nnspec.analysis.plane_figures import plot_surfaces as plot_surfaces
from nnspec.analysis.plane_figures import surface_info as surface_info
from nnspec.analysis.plane_figures import surfaces_info as surfaces_info
from nnspec.analysis.row_figures import confusion_info as confusion_info
from nnspec.analysis.row_figures import plot_confusions as plot_confusions
from nnspec.analysis.row_figures import wrong_rows as wrong_rows
from nnspec.analysis.sweep_figures import curves_info as curves_info
from nnspec.analysis.sweep_figures import heatmap_info as heatmap_info
from nnspec.analysis.sweep_figures import plot_curves as plot_curves
from nnspec.analysis.sweep_figures import plot_heatmap as plot_heatmap
from nnspec.analysis.sweep_figures import plot_survival as plot_survival
from nnspec.analysis.sweep_figures import plot_verdicts as plot_verdicts
from nnspec.analysis.sweep_figures import survival_info as survival_info
from nnspec.analysis.sweep_figures import verdicts_info as verdicts_info
