"""The page about the article's claims: what is asked, and how the answers are told. `article_claims.py` runs it."""
