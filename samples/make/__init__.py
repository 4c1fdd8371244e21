"""The parts of ``samples/make_samples.py``: one module per sample and the small typesetter they share."""
