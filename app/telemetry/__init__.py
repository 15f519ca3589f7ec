"""What the server tells about itself: log lines, metrics and statistics."""
