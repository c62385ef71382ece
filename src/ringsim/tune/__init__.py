"""The tuner: the best plan for each size on this network (`search`), as a table (`table`), with reasons and exports."""
