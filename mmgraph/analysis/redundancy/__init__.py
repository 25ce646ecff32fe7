"""The redundancy report: how much the modalities of a catalogue say twice."""

from __future__ import annotations

from mmgraph.analysis.redundancy.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
