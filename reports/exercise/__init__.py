"""The screens of `./iolab exercise`, and the same as JSON."""
