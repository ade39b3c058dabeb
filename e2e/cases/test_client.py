"""The Python client against the installed operator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from componentrun.client import AsyncClient, Client, RunStoppedError, RunUserError
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.tenant import Tenant

SPEC = {"resources": SMALL}


@pytest.fixture
def client(tenant: Tenant) -> Iterator[Client]:
    with Client(tenant.namespace, kubeconfig=tenant.connection.kubeconfig) as made:
        yield made


def test_five_lines_run_a_component_and_return_a_data_frame(client: Client, components: str) -> None:
    words = pd.DataFrame({"id": [1, 2], "text": ["plain", 'a "quoted" value'], "price": [0.5, None]})
    client.table("in.c-main.words").write(words, key=["id"])
    run = client.submit(
        image=components, tables={"in.c-main.words": "words.csv"}, outputs={"words.csv": "out.c-main.words"},
        spec=SPEC | {"args": ["copy"]},
    )  # fmt: skip
    run.wait(120).raise_for_status()
    frame = client.table("out.c-main.words").to_pandas()
    assert frame["text"].tolist() == words["text"].tolist()
    assert run.result.output_tables[0].rows == 2
    # The table that was written has the types of the frame.
    pd.testing.assert_frame_equal(client.table("in.c-main.words").to_pandas(), words, check_dtype=False)
    total = client.query('select sum(id) as total from "in.c-main.words"').to_arrow()
    assert total.to_pylist() == [{"total": 3}]
    assert client.table("in.c-main.words").details().primary_key == ("id",)


def test_events_end_with_the_run_and_a_user_error_is_raised(client: Client, components: str) -> None:
    run = client.submit(image=components, name="fails", spec=SPEC | {"args": ["exit1"]})
    assert client.submit(image=components, name="fails", spec=SPEC | {"args": ["exit1"]}).name == run.name
    events = list(run.events())
    assert [event.seq for event in events] == sorted({event.seq for event in events})
    assert any(event.source == "component" for event in events)
    assert run.is_over
    with pytest.raises(RunUserError):
        run.raise_for_status()


def test_the_asynchronous_client_follows_and_cancels(tenant: Tenant, components: str) -> None:
    async def work() -> list[str]:
        async with AsyncClient(tenant.namespace, kubeconfig=tenant.connection.kubeconfig) as client:
            run, sleeper = await asyncio.gather(
                client.submit(image=components, spec=SPEC | {"args": ["true"]}),
                client.submit(image=components, spec=SPEC | {"args": ["sleep-for", "100"]}),
            )
            sources = [event.source async for event in run.events()]
            assert run.result.succeeded
            await sleeper.cancel()
            with pytest.raises(RunStoppedError):
                (await sleeper.wait(60)).raise_for_status()
            return sources

    assert "operator" in asyncio.run(work())
