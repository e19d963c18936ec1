"""Run folders: what lies where, who may write, and what is marked as lrmctl's own."""
