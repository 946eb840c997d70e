"""Functions without a derivative, and what to write instead; and those that tell of tensors or save them."""

import numpy as np

from .table import INSTEAD, constant

COMPLEX = "It makes complex numbers, and only real ones have derivatives here"

for names, instead in {
    "intersect1d setdiff1d setxor1d union1d unique unique_all unique_counts unique_inverse unique_values": (
        "Index the tensor with what np.unique(x.detach(), return_index=True) returns"
    ),
    "histogram2d histogram_bin_edges histogramdd": (
        "Counts jump: pass x.detach(), or write np.bincount(np.digitize(x.detach(), bins), weights)"
    ),
    "sort_complex": COMPLEX,
}.items():
    INSTEAD.update((getattr(np, name), instead) for name in names.split())
for name in np.fft.__all__:
    if name.endswith(("fft", "fft2", "fftn")):
        INSTEAD[getattr(np.fft, name)] = f"{COMPLEX}: write its sums of products with np.cos and np.sin"

constant(
    *(np.can_cast, np.common_type, np.min_scalar_type, np.may_share_memory, np.shares_memory),
    *(np.array2string, np.array_repr, np.array_str),
    *(np.save, np.savetxt, np.savez, np.savez_compressed),
)
