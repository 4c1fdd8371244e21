"""Finding and downloading models: on this machine first, on the network only if asked."""
