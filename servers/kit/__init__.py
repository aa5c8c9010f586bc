"""What several servers share: echoing over one connection, and the system calls that Python has no function for."""
