"""Engines that run the VLM: HTTP servers, transformers, vLLM."""
