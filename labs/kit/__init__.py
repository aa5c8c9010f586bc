"""What every lab is made with: processes, traffic, the run, the checks."""
