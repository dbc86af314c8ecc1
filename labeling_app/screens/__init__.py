"""One thin screen a module: choose, show, decide. What is drawn and computed comes from the modules above.

Not called `pages`: Streamlit takes a folder of that name for its own older kind of pages, and a link into a fresh
server then opens an empty one.
"""
