"""Where models are: on this machine first, on the network only if asked."""
