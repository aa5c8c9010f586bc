"""Where threads sleep, what ends their sleeps, and whether work waited meanwhile."""
