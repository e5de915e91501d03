"""stub"""
def run(name, settings): raise NotImplementedError
