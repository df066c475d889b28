"""What workers see, and the only owner of the study's database."""
