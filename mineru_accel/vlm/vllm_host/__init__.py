"""vLLM in the care of this program: started, watched, asked, and never left behind."""
