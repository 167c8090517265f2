"""What lies between kernels: hosts, names, links and what travels over them."""
