"""The descriptors of a program: their lives, sockets, connections, and unread data."""
