from __future__ import annotations

import numpy as np
import torch

from mmgraph.knn.rows.row_norms import row_norms


def test_norms_equal_numpy():
    x = torch.randn(10, 4)
    want = np.linalg.norm(x.double().numpy(), axis=1)
    np.testing.assert_allclose(row_norms(x), want, rtol=1e-15)
    assert row_norms(x[:0]).shape == (0,)
