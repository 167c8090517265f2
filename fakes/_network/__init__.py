"""Everything between kernels: hosts, names, links and the data on them."""
