"""Array modules: numpy on the host, cupy on a GPU."""

# True once a GPU is in use; the eager path looks at nothing else.
accelerated = False
