"""This machine: cores, GPUs, the GPUs that a process sees, installed packages."""
