"""The one reader of rows: training sources, prompts to ask, completions to judge or to score, labels.

`files` turns a file of any form into located rows, `values` reads one value as what it has to be, `messages` and
`responses` read conversations and completions in the words of other tools, `prompts` and `traces` put them together.
Every error names file, line and column. Knows no recipe, no judge and no reward.
"""
