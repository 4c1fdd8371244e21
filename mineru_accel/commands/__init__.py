"""What the subcommands do; :mod:`mineru_accel.cli` parses their arguments."""
