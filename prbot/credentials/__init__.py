"""Where the values come from that engine processes get: files, programs, AWS, and tokens that others renew."""
