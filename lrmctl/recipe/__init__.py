"""Recipes: what they may say (`schema`), reading them (`load`), checking their plugins (`check`), locking (`lock`)."""
