from __future__ import annotations

import math

from mmgraph.models.mf_bpr import MFBPR
from mmgraph.train import Trainer


def test_the_automatic_batch_grows_with_the_graph_and_the_learning_rate_with_its_root():
    trainer = Trainer(batch_size="auto", lr=0.5)
    for interactions, size in [(1, 2048), (64 * 2048, 2048), (64 * 8192 - 5, 8192)]:
        options = trainer.options_for(MFBPR(2, 3), interactions)
        assert options.batch_size == size
        assert options.lr == 0.5 * math.sqrt(size / 2048)
    own = Trainer(batch_size="auto").options_for(MFBPR(2, 3), 64 * 8192)
    assert own.lr == 2 * MFBPR.lr
    assert Trainer(lr=0.5).options_for(MFBPR(2, 3), 10**9).batch_size == 2048
