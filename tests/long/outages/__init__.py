"""Outages of database servers, measured: what a store does while its server is away, and right after.

    python3 dev.py outages [--store psycopg|PyMySQL|mysqlclient|PgBouncer|Redis|cluster ...]

Four threads load and replace records of their own, without a pause. Meanwhile the server is killed and started again
two seconds later; stopped for five seconds, with its connections open; and all of its connections are ended at once.
For each, a row says how many calls failed, when the first one worked again after the server was back, how long the
slowest took, and whether any write is lost that the store had acknowledged.

The command fails if a write is lost, or if a call failed that began before the outage and ended before it, or that
began when the server was back. Times are printed and judged by people: they depend on the machine.

A cluster of Redis may lose what was acknowledged in the moment before a primary died, so there that is only printed.
"""
