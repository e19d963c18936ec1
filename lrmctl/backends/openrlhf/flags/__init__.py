"""OpenRLHF's command line: its flags by version, those that a recipe becomes, those that a user gives."""
