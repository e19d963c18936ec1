"""The commands, one file each: options are parsed here, and one function is called."""
