"""The console: pages for coders, physicians, compliance officers, administrators and referring physicians.

What a page may do is what `coder` and the stores offer; no rule has a second copy here. One call takes one way through
`app.py`: sign-in, role, form, answer, headers.
"""
