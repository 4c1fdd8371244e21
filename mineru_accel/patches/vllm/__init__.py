"""Patches of vLLM, a file for each, and the code that they put in place."""
