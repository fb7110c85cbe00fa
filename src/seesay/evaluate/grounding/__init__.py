"""How well each score tells invented words from true ones, on captions that calibration never saw.

``python -m seesay.evaluate.grounding --scenes 1000 --out docs/grounding.md``
"""
