raise RuntimeError("no licence file")
