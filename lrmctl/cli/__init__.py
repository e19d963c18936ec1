"""The command line: one small file per command, which parses options and calls one function. Contains no logic.

Heavy imports happen inside the commands, so that `lrmctl --help` stays fast.
"""
