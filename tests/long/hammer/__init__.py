"""The hammer: real requests to a real server whose workers are killed, and then a count of what is left.

    python3 dev.py hammer [--store sqlite|file|both|postgresql|mariadb|redis|cluster]
                          [--requests N] [--kills N] [--strikes N] [--seed N]

gunicorn serves `site` with several processes of several threads. Threads here play browsers; several share one,
so that requests of one session overlap. They count, write keys of their own, take keys away, log in and out, change the
user, get new tokens, revoke sessions, and come back with cookies that are dead. Meanwhile workers, and now and then the
whole server, are killed by SIGKILL. Where the sessions are in a database server, it is struck too: killed and started
again, or all of its connections are ended. In a cluster, a primary is killed, and a replica takes over.

A request whose answer came whole is acknowledged, one that broke off is unknown, and after a 503 a write must not be
there (but a login or logout may be), unless the 503 says that the store failed: then it is unknown as well. `book`
keeps what follows from each. At the end, every acknowledged write has to be there and nothing that was refused,
counters lie between the acknowledged and those plus the unknown ones, and no cookie that was dead before a request was
sent ever shows its session. A write that a login overtook does not count as acknowledged: the page saves by itself and
answers with what became of it.

Everything that is chosen follows from the seed; which request meets which, and the moment of a kill, do not.
"""
