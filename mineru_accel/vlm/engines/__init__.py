"""What runs the VLM: a server, transformers, or vLLM."""
