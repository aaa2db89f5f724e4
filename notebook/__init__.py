"""``mloscope.notebook``: ML-o-scope in the cells of a notebook.

from mloscope.notebook import show

show("checkpoints/", images="dataset/")
"""

from mloscope.app.serving.notebook import View, show

__all__ = ["View", "show"]
