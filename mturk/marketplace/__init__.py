"""A self-hosted marketplace: Mechanical Turk's requester API, and a site for workers."""
