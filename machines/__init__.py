"""The machines that iolab is tested on: the container image, and other kernels under QEMU."""
