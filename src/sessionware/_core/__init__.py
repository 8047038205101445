"""The internals: what one request does with its session. If compiled, this folder is compiled as a whole.

From top to bottom: `response` holds the response back. `transaction` keeps what the request did, and saves it. `lookup`
finds its session. `header` and `changes` are what it did. `tickets`, `records` and `envelope` are how that looks in a
cookie and in a store. `lifetime`, `environ` and `values` are the rules that all of them need.
"""
