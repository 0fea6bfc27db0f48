"""`make fuzz`: mutated files and requests against a real server, which answers each with a code.

A case is made of the seed and its number alone, whatever came before it.
"""
