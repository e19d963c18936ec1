"""`lrmctl train --smoke`: the whole chain of any recipe on CPU in about a minute, with everything large made small.

What a recipe says of its algorithm, its rewards and its flags is kept; the model is a random one of the same
architecture, the data a few of its rows, and whatever would load another model is a stand-in that says so. It shows
that a recipe runs, never how good it is. Nothing is downloaded.
"""
