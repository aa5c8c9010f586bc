"""The instrument, in three grounds: what runs in the kernel (kernel/), what captures (capture/), what measures (measure/)."""

VERSION = "0.1.0"
