"""The redundancy report: how much the modalities of a catalogue say twice."""

from __future__ import annotations

from mmgraph.analysis.redundancy.diagnosis import Diagnosis, diagnose
from mmgraph.analysis.redundancy.page import diagnosis_page, write_diagnosis

__all__ = ["Diagnosis", "diagnose", "diagnosis_page", "write_diagnosis"]
