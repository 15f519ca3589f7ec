"""Telemetry of the server: log lines, metrics and statistics."""
