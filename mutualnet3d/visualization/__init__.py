"""Pictures of what was measured."""

from mutualnet3d.visualization.curves import plot_accuracy_gmacs

__all__ = ["plot_accuracy_gmacs"]
