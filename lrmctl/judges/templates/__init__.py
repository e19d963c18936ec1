"""What judge models are asked, and how their replies are read. Pure functions, free of any engine."""
