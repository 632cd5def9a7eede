"""Message archives: slixmpp's XEP-0313 and XEP-0441 as somebody's real client"""
import datetime

import pytest

from harness import mam, wait
from harness.clients import Slixmpp

CONFIG = {"modules": {"mod_ping": {}, "mod_mam": {"default": "always"}}}


def ask(client, coroutine):
    async def run():
        for plugin in ("xep_0313", "xep_0441", "xep_0059"):
            client.client.register_plugin(plugin)
        return await coroutine(client.client)
    return client._ask(run)


@pytest.mark.parametrize("database", ["sqlite", "pgsql"])
def test_slixmpp_reads_its_archive(make_server, database):
    server = make_server(config=CONFIG, database=database)
    juliet, romeo = server.account("juliet"), server.account("romeo")
    old = mam.fill(server, juliet.user, 95, peers=("romeo@example.net/a", "nurse@example.net"))
    a, b = Slixmpp(server, juliet).start(), Slixmpp(server, romeo).start()
    try:
        a.say(romeo.bare, "Wherefore art thou")
        got = b.heard(juliet.bare, "Wherefore art thou")
        told = mam.stanza_id(got.xml, romeo.bare)
        assert told

        async def all_messages(c):
            return [m async for m in c["xep_0313"].iterate()]

        found = ask(a, all_messages)
        assert [m["mam_result"]["id"] for m in found[:95]] == [str(i) for i in old]
        forwarded = found[-1]["mam_result"]["forwarded"]
        assert forwarded["stanza"]["body"] == "Wherefore art thou" and len(found) == 96
        assert abs((datetime.datetime.now(datetime.timezone.utc)
                    - forwarded["delay"]["stamp"]).total_seconds()) < 600

        async def backwards(c):
            return [m async for m in c["xep_0313"].iterate(
                with_jid="nurse@example.net", reverse=True, rsm={"max": 7})]

        assert [m["mam_result"]["id"] for m in ask(a, backwards)] == [str(i) for i in old[1::2]][::-1]

        async def a_time(c):
            t = [datetime.datetime.fromtimestamp(old[n] // 1_000_000, datetime.timezone.utc) for n in (3, 6)]
            return [m async for m in c["xep_0313"].iterate(start=t[0], end=t[1])]

        assert [m["mam_result"]["id"] for m in ask(a, a_time)] == [str(i) for i in old[3:7]]

        async def one_page(c):
            iq = await c["xep_0313"].retrieve(rsm={"max": 5}, timeout=wait.PATIENCE)
            return [m["mam_result"]["id"] for m in iq["mam"]["results"]], iq["mam_fin"]["rsm"]["count"]

        assert ask(a, one_page) == ([str(i) for i in old[:5]], "96")

        async def metadata(c):
            iq = await c["xep_0313"].get_archive_metadata()
            return iq["mam_metadata"]["start"]["id"], iq["mam_metadata"]["end"]["id"]

        assert ask(a, metadata) == (str(old[0]), found[-1]["mam_result"]["id"])

        async def fields(c):
            return (await c["xep_0313"].get_fields()).get_fields()

        assert {"with", "start", "end", "ids"} <= set(ask(a, fields))
        assert [m["mam_result"]["id"] for m in ask(b, all_messages)] == [told]

        async def preferences(c):
            await c["xep_0441"].set_preferences(default="roster", always=["romeo@example.net"], never=[])
            default, always, never = await c["xep_0441"].get_preferences()
            return default, {str(j) for j in always}, len(never)

        assert ask(a, preferences) == ("roster", {"romeo@example.net"}, 0)
    finally:
        a.stop()
        b.stop()
