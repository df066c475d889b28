"""The researcher's own pages: how far a study is, and what its workers saw and did."""
