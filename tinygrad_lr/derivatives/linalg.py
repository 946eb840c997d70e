"""Linear algebra: `numpy.linalg`."""
