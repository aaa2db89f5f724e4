"""Where a TensorFlow 1 graph ends: what of it is computed from the images alone and taken by nobody.

A training graph goes on behind the network, to losses, accuracies and summaries. Those take labels, too, or are written
into logs; what takes nothing but the images, and is taken by nothing else, is an end of the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_ASIDE = re.compile(
    r"Summary|^Print|^Assert|^Save|^Write|Assign|^NoOp$|^ArgM|^TopK|^InTopK|^Shape|^Size$|^Rank$|^Mean$|^Sum$|^L2Loss$|"
    r"Queue|^Equal$|^IsFinite$|^CheckNumerics$|CrossEntropy"
)
_FIXED = re.compile(r"^(Const|Variable|VarHandle|Random|Truncated|Range|Placeholder)")


class Ends:
    """Which operations lead to an end; ``ops`` are kinds and inputs by name, in topological order and without gradients,
    ``entry`` the tensor with the images, ``fixed`` the inputs that hold no image or label of their own (a share that
    dropout keeps, say)."""

    def __init__(
        self, ops: Mapping[str, tuple[str, Sequence[str]]], entry: str, fixed: Iterable[str], before: Iterable[str]
    ) -> None:
        self._ops = ops
        self._takers: dict[str, list[str]] = {}
        self._of_images = {entry}
        free, upstream = set(fixed), set(before)
        for name, (kind, inputs) in ops.items():
            for each in inputs:
                self._takers.setdefault(each.partition(":")[0], []).append(name)
            if name == entry or name in upstream:
                continue
            sources = [each if each == entry else each.partition(":")[0] for each in inputs]
            if not inputs:
                if _FIXED.match(kind) and (not kind.startswith("Placeholder") or name in free):
                    free.add(name)
            elif all(each in free for each in sources):
                free.add(name)
            elif entry not in [each.partition(":")[0] for each in inputs if each != entry] and all(
                each in free or each in self._of_images for each in sources
            ):
                self._of_images.add(name)

    def takers(self, name: str) -> list[str]:
        """The operations that take what this one makes."""
        return self._takers.get(name, [])

    def leads_to_one(self, name: str) -> bool:
        """Whether what is computed from the operation and the images alone ends somewhere other than in a log."""
        if name not in self._of_images:
            return False
        waiting, seen = [name], {name}
        while waiting:
            current = waiting.pop()
            if _ASIDE.search(self._ops[current][0]):
                continue
            takers = self.takers(current)
            if not takers:
                return True
            following = [each for each in takers if each in self._of_images and each not in seen]
            seen.update(following)
            waiting += following
        return False

    def is_one(self, name: str) -> bool:
        """Whether nothing takes what the operation makes of the images."""
        return name in self._of_images and not self.takers(name) and not _ASIDE.search(self._ops[name][0])
