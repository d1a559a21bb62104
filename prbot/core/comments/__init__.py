"""What prbot writes on pull requests: from what is so (frozen views) to markdown, and nothing else.

`plan`, `apply` and `replies` turn views into documents; `split` turns a document into the comments that hold it. Every
string of a view is taken for anybody's text: it cannot end a fence or a cell, mention anybody, link, or be read as a
command. Secrets must be masked before (`prbot.core.redact`).
"""
