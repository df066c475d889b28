"""A whole study with simulated workers: to try everything out before people are asked.

Nothing here judges a method: the workers are programs, and every output says so.
"""
