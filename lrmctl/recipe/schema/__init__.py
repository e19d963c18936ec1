"""What a recipe may say, as Pydantic models: one file for each section."""
