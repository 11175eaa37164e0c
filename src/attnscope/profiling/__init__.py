"""Many texts in, a head profile out: in this process by default, on a distributed engine by name.

Texts are dealt into shards before anything runs, a shard's numbers are fixed by what is in it, and what is merged are
whole numbers. So neither the number of workers nor the order in which shards come back changes a digit.
"""
