"""The commands, one file for each: options are read here, and one function is called."""
