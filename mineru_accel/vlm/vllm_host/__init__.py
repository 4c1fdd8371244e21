"""vLLM as processes of this program: arguments, starting, watching, restarting, and calls into them."""
