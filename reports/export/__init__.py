"""A run as files for other programs: tables, flame graphs, a trace for Perfetto. Rendering only."""
