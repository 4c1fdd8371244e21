"""What this machine has: cores, GPUs, and which of them a process sees."""
