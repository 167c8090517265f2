"""What a clause's test is written with."""
