"""What is typed or pasted, as it is shown: characters that hide, or turn text round, as escapes."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments

from ..errors import visible


class Unmasked(Processor):
    """For prompt_toolkit, which shows control characters itself, and nothing of these."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """The line, and which of its characters stands where."""
        exploded = explode_text_fragments(transformation_input.fragments)
        shown = [(style, c if c.isascii() else visible(c, "")) for style, c, *_ in exploded]
        starts = list(accumulate((len(text) for _, text in shown), initial=0))
        return Transformation(
            [*shown],
            source_to_display=lambda k: starts[min(k, len(shown))] + max(k - len(shown), 0),
            display_to_source=lambda k: bisect_right(starts, k) - 1,
        )
