"""The store of docs/dynamodb.md keeps the contract, on a stand-in for DynamoDB. The page says what that leaves open."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from cheroot import wsgi
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

import dev
from sessionware import ConfigError, StoreUnavailable
from sessionware.stores.base import Record, Store
from sessionware.testing import FaultyProxy, ServerStoreContract
from sessionware.testing.store_cases import ALICE, BOB, DAY, HOUR, NOW, SLACK, a_record
from tests.servers.matrix import in_whole_matrix

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PAGE = dev.ROOT / "docs" / "dynamodb.md"
EXAMPLE = dev.ROOT / "examples" / "dynamodb_store.py"
MOST_LINES = 150

PATIENCE = 60  # seconds, of a client, because the stand-in is slower than what it stands in for
ACCOUNT = {"region_name": "eu-central-1", "aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}


class StandIn:
    """moto, which answers one request after the other.

    By itself it checks a condition in one step and writes in the next, and takes a transaction back by putting the
    whole table back, so requests at the same moment would undo one another.
    """

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._turn = threading.Lock()
        # It keeps connections open, as DynamoDB does, and takes many at once.
        self._server = wsgi.Server(("127.0.0.1", 0), self._answer, request_queue_size=128)
        self._server.prepare()
        self._names = count()
        self.address: tuple[str, int] = self._server.bind_addr
        self.asked: list[str] = []
        """The operations that it was asked for."""
        self.refusals: list[dict[str, Any]] = []
        """What it answers to the next requests, doing nothing."""
        self._serving = threading.Thread(target=self._server.serve)
        self._serving.start()

    def close(self) -> None:
        self._server.stop()
        self._serving.join()

    def new_table(self, examples: Any) -> str:
        name = f"sessions-{next(self._names)}"
        examples.create_table(name, **where(*self.address))
        return name

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._turn:
            self.asked.append(environ["HTTP_X_AMZ_TARGET"].partition(".")[2])
            if not self.refusals:
                return list(self._app(environ, start_response))
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            body = json.dumps(self.refusals.pop(0)).encode()
            headers = [("Content-Type", "application/x-amz-json-1.0"), ("Content-Length", str(len(body)))]
            start_response(f"{HTTPStatus.BAD_REQUEST.value} refused", headers)
            return [body]


def where(host: str, port: int) -> dict[str, Any]:
    return {"endpoint_url": f"http://{host}:{port}", "timeout": PATIENCE, **ACCOUNT}


@pytest.fixture(scope="module")
def recipe() -> Iterator[Any]:
    """The example, imported as a site would."""
    with pytest.MonkeyPatch.context() as patching:
        patching.syspath_prepend(EXAMPLE.parent)
        yield importlib.import_module(EXAMPLE.stem)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.close()


@in_whole_matrix  # which looks at all records all the time
class TestDynamoDBStore(ServerStoreContract):
    @pytest.fixture(autouse=True)
    def _table(self, recipe: Any, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(recipe, "SHARDS", 3)  # because a look at all records is a request for each
        self.address = stand_in.address
        self.table = stand_in.new_table(recipe)
        self.recipe = recipe
        self.opened: list[Any] = []
        yield
        for store in self.opened:
            close(store)

    def make_store_at(self, host: str, port: int) -> Store:
        self.opened.append(self.recipe.DynamoDBStore(self.table, **where(host, port)))
        return self.opened[-1]  # type: ignore[no-any-return]


def close(store: Any) -> None:
    store.reads.close()
    store.writes.close()


@pytest.fixture
def store(recipe: Any, stand_in: StandIn) -> Iterator[Any]:
    store = recipe.DynamoDBStore(stand_in.new_table(recipe), **where(*stand_in.address))
    yield store
    close(store)


HERS = a_record(owner=ALICE)
CONFLICT = {"__type": "TransactionConflictException", "message": "Transaction is ongoing for the item"}
CANCELED = {
    "__type": "TransactionCanceledException",
    "message": "Transaction cancelled [TransactionConflict, None]",
    "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
}
THROTTLED = {"__type": "ProvisionedThroughputExceededException", "message": "slower"}


def requests(stand_in: StandIn, call: Any, *arguments: Any) -> list[str]:
    """What a call asks the server for."""
    del stand_in.asked[:]
    call(*arguments)
    return stand_in.asked[:]


def test_each_call_is_one_request(store: Any, stand_in: StandIn) -> None:
    """For a visitor, and for somebody who is logged in."""
    for record in (a_record(1), a_record(2, owner=ALICE)):
        later = record._replace(version=2, payload=b"changed", expires_at=NOW + 2 * HOUR)

        create = requests(stand_in, store.create, record)
        replace = requests(stand_in, store.replace, later)

        assert create == (["PutItem"] if record.owner is None else ["TransactWriteItems"])
        assert replace == ["UpdateItem"]
        assert requests(stand_in, store.load, record.id, NOW) == ["GetItem"]
        assert requests(stand_in, store.touch, record.id, 2, NOW + DAY) == ["UpdateItem"]
        assert store.load(record.id, NOW) == later._replace(expires_at=NOW + DAY)
        assert requests(stand_in, store.delete, record.id) == ["DeleteItem"]


def test_a_login_is_two(store: Any, stand_in: StandIn) -> None:
    """The first finds that the record has another owner, the second writes it together with the owner's item."""
    store.create(a_record())

    assert requests(stand_in, store.replace, HERS._replace(version=2)) == ["UpdateItem", "TransactWriteItems"]
    assert store.owned_by(ALICE, NOW) == [HERS._replace(version=2)]


def test_records_are_in_id_order_in_every_partition(store: Any) -> None:
    """In all sixteen, page by page."""
    records = [a_record(id=bytes([first]) + bytes([last]) * 15) for first in range(0, 256, 5) for last in (0, 255)]
    for record in reversed(records):
        store.create(record)
    found = store.scan(limit=7)
    while page := store.scan(found[-1].id, limit=7):
        found += page

    assert found == records
    assert len({item["pk"]["S"] for item in store.reads.scan(**store.table)["Items"]}) == 16


def remove_what_is_due(store: Any, now: int) -> None:
    """What DynamoDB does with a time to live, and the stand-in does not."""
    for item in store.reads.scan(**store.table)["Items"]:
        if int(item["due"]["N"]) <= now:
            store.writes.delete_item(**store.table, Key={"pk": item["pk"], "sk": item["sk"]})


@pytest.mark.parametrize("use", ["touch", "replace"])
def test_an_owner_finds_a_session_as_long_as_it_lives(store: Any, use: str) -> None:
    """However often its life is prolonged, and though DynamoDB removes what is due."""
    store.create(HERS)
    version, end = 1, HERS.expires_at
    for _ in range(5):
        end += 20 * DAY
        if use == "touch":
            store.touch(HERS.id, version, end)
        else:
            version += 1
            assert store.replace(HERS._replace(version=version, expires_at=end))

        remove_what_is_due(store, end - 1)

        assert store.owned_by(ALICE, end - 1) == [HERS._replace(version=version, expires_at=end)]


def test_what_is_due_leaves_nothing_behind(store: Any) -> None:
    """Two hours after a session has expired it is gone, and a month later so is what led to it."""
    store.create(HERS)
    store.replace(HERS._replace(version=2, owner=BOB))

    remove_what_is_due(store, HERS.expires_at + SLACK)
    assert store.scan() == []

    remove_what_is_due(store, HERS.expires_at + SLACK + 30 * DAY)
    assert store.reads.scan(**store.table)["Items"] == []


def change(store: Any) -> Any:
    """A write of one item."""
    return store.replace(HERS._replace(version=2, payload=b"changed"))


def log_out(store: Any) -> Any:
    return store.replace(HERS._replace(version=2, owner=None))


def log_in(store: Any) -> Any:
    """A write of two items."""
    return store.create(a_record(2, owner=BOB))


@pytest.mark.parametrize(("call", "answer"), [(change, CONFLICT), (log_out, CONFLICT), (log_in, CANCELED)])
def test_a_write_in_the_way_of_a_transaction_is_sent_again(
    store: Any, stand_in: StandIn, call: Any, answer: dict[str, Any]
) -> None:
    """The server has said that it did nothing. Never False: nobody else has changed the record."""
    store.create(HERS)
    stand_in.refusals += [answer] * 3

    assert call(store) is True
    assert stand_in.refusals == []


def test_a_write_that_is_always_in_the_way_is_an_outage(store: Any, stand_in: StandIn) -> None:
    """After a few tries, because somebody waits for it."""
    store.create(HERS)
    stand_in.refusals += [CONFLICT] * 100
    try:
        with pytest.raises(StoreUnavailable, match="ongoing"):
            change(store)
        assert len(stand_in.refusals) > 90
    finally:
        stand_in.refusals.clear()


def test_a_write_that_is_throttled_is_an_outage_at_once(store: Any, stand_in: StandIn) -> None:
    """Whoever asks for more than is paid for is not helped by asking again."""
    store.create(HERS)
    stand_in.refusals.append(THROTTLED)
    del stand_in.asked[:]

    with pytest.raises(StoreUnavailable, match="ProvisionedThroughputExceeded"):
        change(store)

    assert stand_in.asked == ["UpdateItem"]
    assert store.load(HERS.id, NOW) == HERS


def test_a_read_that_loses_its_answer_is_sent_again(recipe: Any, stand_in: StandIn, store: Any) -> None:
    """It changes nothing, so the visitor need not hear of it."""
    store.create(HERS)
    with FaultyProxy(stand_in.address) as proxy:
        through = recipe.DynamoDBStore(store.table["TableName"], **where(*proxy.address))
        proxy.lose_answer()

        assert through.load(HERS.id, NOW) == HERS
        assert proxy.lost == 1
        close(through)


def test_a_record_that_is_too_large_is_refused_with_what_dynamodb_says(store: Any) -> None:
    """400 KB is the most that an item may have, and max_bytes is 256 KiB unless somebody raises it."""
    with pytest.raises(StoreUnavailable, match="size has exceeded"):
        store.create(a_record(payload=bytes(400 * 1024)))
    assert store.scan() == []


def test_a_table_that_is_missing_is_an_outage_that_says_so(recipe: Any, stand_in: StandIn) -> None:
    """Named by DynamoDB's own words."""
    store = recipe.DynamoDBStore("nothing", **where(*stand_in.address))

    with pytest.raises(StoreUnavailable, match="ResourceNotFound"):
        store.load(HERS.id, NOW)
    close(store)


def test_no_region_is_a_wrong_setting(recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found when the store is built."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "nowhere")

    with pytest.raises(ConfigError, match="region"):
        recipe.DynamoDBStore("sessions")


def test_it_is_short_and_on_its_page() -> None:
    """A whole store takes no more than 150 lines."""
    code = EXAMPLE.read_text(encoding="utf-8")

    assert len([line for line in code.splitlines() if line.strip()]) <= MOST_LINES
    assert "<!-- include: examples/dynamodb_store.py -->" in PAGE.read_text(encoding="utf-8")


def test_a_record_comes_back_with_every_field(store: Any) -> None:
    """Numbers as ints, bytes as bytes, also without an owner and without a payload."""
    for record in (a_record(3, payload=b""), Record(b"\xff" * 16, 2**53, 2**33, b"\xff" * 16, b"\0")):
        assert store.create(record)

        assert store.load(record.id, NOW) == record
