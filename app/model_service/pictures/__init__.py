"""Pictures of what a unit sees: methods that ask a network for nothing but outputs and signals passed back, by name.

A method knows no framework. It is given a network with one checkpoint's weights (:class:`DifferentiableNetwork`), the layer, its
options and the image, and makes one :class:`Picture`. Another method is another file here and a line in :data:`METHODS`.
"""

from __future__ import annotations

from mloscope.app.model_service.pictures.attribution import attribution
from mloscope.app.model_service.pictures.deconvolution import deconvolution
from mloscope.app.model_service.pictures.inversion import inversion
from mloscope.app.model_service.pictures.picture import Method
from mloscope.app.model_service.pictures.stimulus import stimulus

METHODS: dict[str, Method] = {
    "attribution": attribution,
    "deconvolution": deconvolution,
    "inversion": inversion,
    "stimulus": stimulus,
}
