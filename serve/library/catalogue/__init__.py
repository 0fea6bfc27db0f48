"""A catalogue of any size to Parquet, a file a shard: what is done is never done again.

Where a stop comes in the middle, also SIGKILL, shards are whole or not there. Needs the extra
`catalogue` (pyarrow).
"""
