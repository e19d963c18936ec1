"""Small utilities that know nothing of lrmctl's types."""
