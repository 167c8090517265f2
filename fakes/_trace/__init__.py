"""A record of what crossed the wire and what ran, as text and as a file for Wireshark."""
