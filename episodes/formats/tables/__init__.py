"""Tables of numbers in: CSV, TSV and Parquet, under a mapping."""
