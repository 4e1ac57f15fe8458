"""TFRecord files: what event files and record data sets are made of."""
