"""How long Hypothesis searches: four profiles, chosen by `pytest --hypothesis-profile=NAME`.

dev : the default; the whole suite in under two minutes on two cores.
few : a look at each test; the coverage is measured with it, so that no line is reached by luck alone.
ci : four times as long; what it draws depends on nothing but the code, so that a run can be repeated.
thorough : an hour of search, each time elsewhere.

Whatever the profile, a failure is printed as the smallest example found, with a line to put above the test
that reproduces it.
"""

import gc

from hypothesis import HealthCheck, settings

slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
dev = settings(deadline=None, print_blob=True, max_examples=70, suppress_health_check=slow)
settings.register_profile("dev", dev)
settings.register_profile("few", dev, max_examples=10)
settings.register_profile("ci", dev, max_examples=300, derandomize=True, database=None)
settings.register_profile("thorough", dev, max_examples=5000)
settings.load_profile("dev")


def pytest_collection_finish() -> None:
    """Ten thousand tests stay until the end: the collector of garbage is not to look at them each time."""
    gc.freeze()
