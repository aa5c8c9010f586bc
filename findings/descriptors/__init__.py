"""What lies behind the descriptors of a program: their lives, sockets, connections, unread data."""
