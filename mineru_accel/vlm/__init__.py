"""MinerU's VLM: engines that run it. All of vLLM and mineru-vl-utils is behind this package and ``patches/``."""
