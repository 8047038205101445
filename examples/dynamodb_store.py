"""Sessions in a table of Amazon DynamoDB, by conditional writes. docs/dynamodb.md says how, and what it costs."""

import random
import time
from contextlib import contextmanager
from itertools import islice

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from sessionware import ConfigError, Record, StoreUnavailable
from sessionware.stores.base import checked_name

HOUR, MONTH = 3600, 30 * 24 * 3600
SHARDS = 16  # partitions, in the order of ids, to spread the load over; a table keeps the number it began with
MOST_PRUNED = 25  # in one call, which a visitor may be waiting for

NEW, NEXT = "attribute_not_exists(pk)", "v = :before"
LONGER = "v = :v AND e < :e"
CLAIMED = "o = :o AND u >= :e"  # the owner's item names this record, and will be there until it has ended
REPLACE, TOUCH, CLAIM = "SET v = :v, e = :e, due = :due, p = :p", "SET e = :e, due = :due", ", o = :o, u = :u"


def client(attempts=1, timeout=2, **aws):
    """A client of ours, because boto3's sends writes again whose answer was lost, unless it is told not to."""
    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(connect_timeout=1, read_timeout=timeout, max_pool_connections=50, retries=retries)
    try:
        return boto3.client("dynamodb", config=config, **aws)
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"DynamoDB: {error}") from error


def create_table(name, **aws):
    """Make the table, once. `prune` looks at the index, and DynamoDB itself removes what is due, some time or other."""
    admin, types = client(**aws), {"pk": "S", "sk": "B", "due": "N"}
    admin.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": types[key]} for key in types],
        KeySchema=schema("pk", "sk"),
        GlobalSecondaryIndexes=[
            {"IndexName": "due", "KeySchema": schema("pk", "due"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
    )
    admin.get_waiter("table_exists").wait(TableName=name)
    admin.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "due"})


def schema(partition, order):
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": order, "KeyType": "RANGE"}]


class DynamoDBStore:
    def __init__(self, table, *, path=(), clients=None, **aws):
        self.table, self.path = {"TableName": table}, path
        self.reads, self.writes = clients or (client(2, **aws), client(1, **aws))

    def create(self, record):
        put = {**self.table, "Item": self.key(record.id) | attributes(record), "ConditionExpression": NEW}
        if record.owner is None:
            return self.write("put_item", **put) is not None
        return self.write("transact_write_items", TransactItems=[{"Put": put}, self.claim(record)]) is not None

    def load(self, id, now):
        with outages():
            found = self.reads.get_item(**self.table, Key=self.key(id), ConsistentRead=True).get("Item")
        return record_of(found) if found and int(found["e"]["N"]) > now else None

    def replace(self, record):
        values = values_of(record, "v", "e", "due", "p") | {":before": number(record.version - 1)}
        if record.owner is None:
            return self.update(record.id, REPLACE + " REMOVE o, u", NEXT, values)
        owned = values | values_of(record, "o")
        if self.update(record.id, REPLACE, f"{NEXT} AND {CLAIMED}", owned):
            return True  # the answer False leaves it open whether the version is another one or the owner
        return self.update(record.id, REPLACE + CLAIM, NEXT, owned | values_of(record, "u"), self.claim(record))

    def touch(self, id, version, expires_at):
        values = {":v": number(version), ":e": number(expires_at), ":due": number(due(expires_at))}
        if self.update(id, TOUCH, f"{LONGER} AND (attribute_not_exists(o) OR u >= :e)", values):
            return
        found = self.load(id, 0)
        if found and found.owner and found.version == version and found.expires_at < expires_at:
            longer = found._replace(expires_at=expires_at)
            owned = values | values_of(longer, "o", "u")
            self.update(id, TOUCH + ", u = :u", f"{LONGER} AND o = :o", owned, self.claim(longer))

    def delete(self, id):
        return bool(self.write("delete_item", **self.table, Key=self.key(id), ReturnValues="ALL_OLD").get("Attributes"))

    def prune(self, now, limit=1000):
        limit, removed, values = min(limit, MOST_PRUNED), 0, {":now": number(now)}
        for shard in range(SHARDS):
            for item in islice(self.query(f"#{shard}", "due <= :now", values, limit, IndexName="due"), limit - removed):
                key = {name: item[name] for name in ("pk", "sk")}
                gone = {"ConditionExpression": "due <= :now", "ExpressionAttributeValues": values}
                removed += self.write("delete_item", **self.table, Key=key, **gone) is not None
        return removed

    def owned_by(self, owner, now):
        claims = self.query(f"@{owner.hex()}", "sk > :after", {":after": {"B": b"\0"}}, ConsistentRead=True)
        found = [self.load(claim["sk"]["B"], now) for claim in claims]
        return [record for record in found if record and record.owner == owner]

    def scan(self, after=None, limit=1000):
        values = {":after": {"B": after or b"\0"}}  # which is before an id of sixteen zeros
        shards = range((after or b"\0")[0] * SHARDS >> 8, SHARDS)
        items = (self.query(f"#{shard}", "sk > :after", values, limit, ConsistentRead=True) for shard in shards)
        return list(islice((record_of(item) for shard in items for item in shard), limit))

    def namespace(self, name):
        path = (*self.path, checked_name(name))
        return DynamoDBStore(self.table["TableName"], path=path, clients=(self.reads, self.writes))

    def key(self, id, group=""):
        return {"pk": {"S": "/".join(self.path) + (group or f"#{id[0] * SHARDS >> 8}")}, "sk": {"B": id}}

    def claim(self, record):
        """An item that leads from the owner to the record. It may outlive that: `owned_by` looks at the record."""
        return {"Put": {**self.table, "Item": self.key(record.id, f"@{record.owner.hex()}") | {"due": until(record)}}}

    def update(self, id, change, condition, values, claim=None):
        update = {"UpdateExpression": change, "ConditionExpression": condition, "ExpressionAttributeValues": values}
        update |= {**self.table, "Key": self.key(id)}
        if claim is None:
            return self.write("update_item", **update) is not None
        return self.write("transact_write_items", TransactItems=[{"Update": update}, claim]) is not None

    def write(self, operation, again=5, **arguments):
        """The answer, or None if the condition does not hold. Sent again only after an answer that nothing was done."""
        with outages():
            try:
                return getattr(self.writes, operation)(**arguments)
            except ClientError as error:
                reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", ())}
                reasons.add(error.response["Error"]["Code"].removesuffix("Exception"))
                if "ConditionalCheckFailed" in reasons:
                    return None
                if "TransactionConflict" not in reasons or not again:
                    raise
        time.sleep(random.uniform(0, 0.2 / 2**again))  # noqa: S311  (a transaction is under way for milliseconds)
        return self.write(operation, again - 1, **arguments)

    def query(self, group, condition, values, size=1000, **options):
        values = {":pk": {"S": "/".join(self.path) + group}, **values}
        query = {"KeyConditionExpression": f"pk = :pk AND {condition}", "ExpressionAttributeValues": values, **options}
        with outages():
            pages = self.reads.get_paginator("query").paginate(
                **self.table, **query, PaginationConfig={"PageSize": size}
            )
            yield from (item for page in pages for item in page["Items"])


@contextmanager
def outages():
    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        raise StoreUnavailable(f"DynamoDB: {error}") from error


def attributes(record):
    numbers = {"v": record.version, "e": record.expires_at, "due": due(record.expires_at)}
    owned = {} if record.owner is None else {"o": {"B": record.owner}, "u": until(record)}
    return {name: number(value) for name, value in numbers.items()} | owned | {"p": {"B": record.payload}}


def values_of(record, *names):
    return {f":{name}": value for name, value in attributes(record).items() if name in names}


def record_of(item):
    owner = item["o"]["B"] if "o" in item else None
    return Record(item["sk"]["B"], int(item["v"]["N"]), int(item["e"]["N"]), owner, item["p"]["B"])


def number(value):
    return {"N": str(value)}


def due(expires_at):
    """A full hour, one to two hours later, so that the index rests while a session is used."""
    return (expires_at // HOUR + 2) * HOUR


def until(record):
    """How long an owner's item is good for: long enough that it need not be written again with each use."""
    return number(due(record.expires_at + MONTH))
