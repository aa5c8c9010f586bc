"""Code that several servers share: the echo over one connection, and system calls without a function in Python."""
