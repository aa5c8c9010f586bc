"""The machines that iolab is tried on: the container image, and other kernels under QEMU."""
