"""Stores whose process dies in the middle of an operation, or whose disk is full.

    python3 dev.py crash                   both stores, every point; a minute or two
    python3 dev.py crash --store file      one of them

A process does one operation and is killed, once before each of its file-system calls and once after the last; strace
does the killing, so it has to be installed. FileStore's writes are cut short in the middle as well. The disk fills up
in two ways: by a limit on the size of files and, where one may be mounted, on a small file system of its own.

Whoever opens the store afterwards must find the record as it was before or as it was to be, in the list of its owner
and in no other, its neighbour untouched, and a store that goes on working. The table counts what was found:

    old, new        the record before the operation, or after it (on a full disk: refused, or done)
    half-written    something else, or nothing that can be read
    gone            missing, or missing from where it has to be listed
    stuck           whole, but it cannot be changed, removed or made again
"""
