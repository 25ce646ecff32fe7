"""Measures of a trained model beside those that training looks at."""

from mmgraph.train.measures.measures import MEASURES, measure

__all__ = ["MEASURES", "measure"]
