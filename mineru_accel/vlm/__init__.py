"""MinerU's VLM: engines that run it, the queue of crops before them, and MinerU's client.

vLLM and mineru-vl-utils are used in this package and in ``patches/`` only.
"""
