"""What runs in the kernel: the BPF programs (*.c, fold.h), and the definitions that C and Python share."""
