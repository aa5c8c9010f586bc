"""The mark of a submission as a page on the terminal, as JSON, and in the formats that course platforms read."""
