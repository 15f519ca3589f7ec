"""What the training rows of a version held, as histograms, and other rows counted in the same buckets."""
