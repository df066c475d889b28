"""The crowd, through Amazon Mechanical Turk's requester API."""
