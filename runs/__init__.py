"""How things are run: a lab, all labs, the comparison, a traced program; their clients, links and limits."""
