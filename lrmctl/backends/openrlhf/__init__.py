"""OpenRLHF 0.11 behind a plan: its flags, its output, its failures. The only room that knows its names."""
