"""Small tools that know nothing of lrmctl's nouns."""
