"""What `RedisStore` makes of errors that no server here gives: those of older releases and of set-ups."""

from __future__ import annotations

import pytest
from redis import exceptions

from sessionware._hidden import Hidden
from sessionware.stores._redis_errors import unavailable
from sessionware.stores._redis_settings import settings_of

_OLD = "Error running script (call to f_1028a5dba704e1d8a01fd96efeba25bb78f62df2): @user_script:4: @user_script: 4: -"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_OLD + "READONLY You can't write against a read only replica.", "is a replica"),
        (_OLD + "OOM command not allowed when used memory > 'maxmemory'.", "no memory left"),
        ("NOREPLICAS Not enough good replicas to write.", "min-replicas-to-write"),
        ("unknown command 'EVALSHA', with args beginning with: 'sha' '2' 'payload'", "failed with ERR."),
        ("MOVED 1234 127.0.0.1:6380", "Write: redis+cluster://db:6379"),
        ("CROSSSLOT Keys in request don't hash to the same slot", "Write: redis+cluster://db:6379"),
    ],
)
def test_an_answer_becomes_advice(answer: str, said: str) -> None:
    """Releases before 7 quote what happens inside a script. What was sent is never quoted."""
    settings = settings_of(Hidden("redis://:sesame@db:6379/0"), 1.0)

    error = unavailable(exceptions.ResponseError(answer), settings)

    assert str(error).startswith("Redis at redis://db:6379/0 ")
    assert said in str(error)
    assert "payload" not in str(error)
