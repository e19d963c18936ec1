"""OpenRLHF's command line: its flags by version, the flags of a recipe, the flags that a user adds."""
