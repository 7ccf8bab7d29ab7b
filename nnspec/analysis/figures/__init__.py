"""Every figure in one place: ``x_info`` computes what ``plot_x`` draws."""

from __future__ import annotations

from nnspec.analysis.figures.draw import png as png
from nnspec.analysis.figures.layers import activation_info as activation_info
from nnspec.analysis.figures.layers import histograms_info as histograms_info
from nnspec.analysis.figures.layers import norms_info as norms_info
from nnspec.analysis.figures.layers import plot_activations as plot_activations
from nnspec.analysis.figures.layers import plot_histograms as plot_histograms
from nnspec.analysis.figures.layers import plot_norms as plot_norms
from nnspec.analysis.figures.plane import lines_info as lines_info
from nnspec.analysis.figures.plane import plot_lines as plot_lines
from nnspec.analysis.figures.plane import plot_surfaces as plot_surfaces
from nnspec.analysis.figures.plane import surface_info as surface_info
from nnspec.analysis.figures.plane import surfaces_info as surfaces_info
from nnspec.analysis.figures.rows import confusion_info as confusion_info
from nnspec.analysis.figures.rows import plot_confusions as plot_confusions
from nnspec.analysis.figures.rows import wrong_rows as wrong_rows
from nnspec.analysis.figures.sweep import curves_info as curves_info
from nnspec.analysis.figures.sweep import heatmap_info as heatmap_info
from nnspec.analysis.figures.sweep import plot_curves as plot_curves
from nnspec.analysis.figures.sweep import plot_heatmap as plot_heatmap
from nnspec.analysis.figures.sweep import plot_survival as plot_survival
from nnspec.analysis.figures.sweep import plot_verdicts as plot_verdicts
from nnspec.analysis.figures.sweep import survival_info as survival_info
from nnspec.analysis.figures.sweep import verdicts_info as verdicts_info
