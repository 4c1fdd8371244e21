"""The command ``mineru-accel``: a file for each subcommand; :mod:`.main` parses their arguments."""
