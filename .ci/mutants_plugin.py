"""Hypothesis for .ci/mutants.py: a property that fails has failed; it is not made smaller for minutes."""

from hypothesis import Phase, settings

settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate), database=None)
settings.load_profile("mutants")
