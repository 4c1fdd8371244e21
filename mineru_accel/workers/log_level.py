"""What is said of the work, by every process of it."""

LOG_LEVEL = "MINERU_ACCEL_LOG_LEVEL"
"""Variable with the command's level, for the processes that it starts."""
