"""The radiologist's desktop. `screen` and `session` are the model and know no Qt; the rest paints what `draw`
returns.
"""
