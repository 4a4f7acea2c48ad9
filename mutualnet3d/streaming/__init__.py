"""A long video or a camera at a latency budget that changes while it runs."""
