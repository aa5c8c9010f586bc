"""What tracing costs: workloads under iolab and under other tracers, in interleaved rounds."""
