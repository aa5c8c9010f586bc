"""What the pictures of a run show: one message, one moment, and the whole life of each thread."""
