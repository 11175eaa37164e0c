"""Making layers of the calls that were seen: which layer it is, who may see whom, and whether it is exact."""
