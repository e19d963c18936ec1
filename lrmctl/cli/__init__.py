"""The command line: one small file per command, which reads options and calls one function. No logic lives here.

Whatever is heavy is imported inside the commands, so that `lrmctl --help` stays quick.
"""
