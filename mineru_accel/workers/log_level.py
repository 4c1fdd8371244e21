"""The log level, which all processes of a run share."""

LOG_LEVEL = "MINERU_ACCEL_LOG_LEVEL"
"""Environment variable with the command's level, for the processes that it starts."""
