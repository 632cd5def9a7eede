"""Delivery: RFC 6120, sections 8 and 10; RFC 6121, section 8

Most tests run twice: both users in one worker, and in two. One server with two workers; a
stream is put into a worker by trying (Server.connect_to_worker).
"""
import os
import signal

import pytest

from harness import wait, xml


@pytest.fixture(scope="module")
def routing(session_maker):
    return session_maker(workers=2)


@pytest.fixture(params=["one worker", "two workers"])
def place(request, routing):
    """place("juliet", "romeo") makes streams, in the same worker or in different ones."""
    routing.new_test()
    slots = sorted(routing.worker_connections())

    def put(*names, until="online", **options):
        streams = []
        for i, name in enumerate(names):
            slot = slots[i % 2] if request.param == "two workers" else slots[0]
            s = routing.stream(name, worker=slot, **options).login(until=until)
            if until == "online":
                # Another resource of the same account hears of the new one, and it of them.
                others = [o for o in streams if o.bare == s.bare]
                for o in others:
                    o.expect(f"<presence from='{s.full}'/>")
                s.expect_any_order(*(f"<presence from='{o.full}'/>" for o in others))
            streams.append(s)
        return streams

    yield put
    routing.new_test()


def fence(sender, *receivers):
    """Whatever the sender caused before has come by now: frames keep their order."""
    for r in receivers:
        i = sender.next_id()
        sender.send(f"<message to='{r.full}' id='{i}' type='headline'/>")
        r.expect(f"<message id='{i}' from='{sender.full}'/>")


# From and to


def test_from_is_stamped(place):
    """RFC 6120, 8.1.2.1: with the full address"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<message to='{romeo.full}' type='chat'><body>Hi</body></message>")
    romeo.expect(f"<message from='{juliet.full}' to='{romeo.full}' type='chat'>"
                 "<body>Hi</body></message>")


@pytest.mark.parametrize("which", ["bare", "full"])
def test_one_s_own_address_may_be_given(place, which):
    """RFC 6120, 8.1.2.1: validated; what arrives is the full one"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<message from='{getattr(juliet, which)}' to='{romeo.full}'/>")
    romeo.expect(f"<message from='{juliet.full}'/>")


@pytest.mark.parametrize("to", [
    "@example.net", "a@", "example.net/", "a b@example.net", "a@b@c/", "<>", "\u200e",
    "x" * 1024 + "@example.net", "juliet@" + "x" * 1024, "\"@example.net", "a&b@example.net",
    "a@-.example.net/", "@/"])
def test_addresses_that_are_none(server, to):
    """RFC 6120, 8.3.3.8: jid-malformed"""
    juliet = server.stream().login()
    juliet.send(f"<message id='m' to='{xml.escape(to)}'/>")
    juliet.expect("<message type='error' id='m'><error type='modify'><jid-malformed/></error></message>")
    juliet.ping()


def test_addresses_are_prepared(place):
    """RFC 7622 (stringprep): case of the local part and the domain does not matter"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<message to='{romeo.bare.upper()}/{romeo.resource}'/>")
    romeo.expect(f"<message from='{juliet.full}'/>")


def test_order_is_kept(place):
    """RFC 6120, 10.1"""
    juliet, romeo = place("juliet", "romeo")
    for i in range(500):
        juliet.send(f"<message to='{romeo.full}' id='m{i}'><body>{i}</body></message>")
    for i in range(500):
        romeo.expect(f"<message id='m{i}'/>")


def test_what_a_client_says_is_kept(place):
    """RFC 6120, 8.4 and 10: children, foreign namespaces, languages, all of it"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(
        f"<message to='{romeo.full}' xml:lang='de' xmlns:a='urn:a'><body>1 &lt; 2 &amp; 3</body>"
        "<body xml:lang='en'>x</body><a:b c='d' a:e='&quot;&apos;&#10;'><f xmlns='urn:f'>ü</f><g/></a:b>"
        "<h xmlns='urn:h'><![CDATA[<i>&amp;</i>]]></h></message>")
    got = romeo.expect(
        "<message xml:lang='de'><body>1 &lt; 2 &amp; 3</body><body xml:lang='en'>x</body></message>")
    b = got.find("{urn:a}b")
    assert b.get("c") == "d" and b.get("{urn:a}e") == "\"'\n"
    assert b.find("{urn:f}f").text == "ü"
    assert b.find("{urn:a}g") is None and b.find("{jabber:client}g") is not None
    assert got.find("{urn:h}h").text == "<i>&amp;</i>"


def test_the_wire_is_re_serialised(place):
    """No client chooses our bytes: CDATA, single characters, white space in tags are gone"""
    juliet, romeo = place("juliet", "romeo")
    romeo.received = b""
    juliet.send(f"<message\n to = \"{romeo.full}\"\t><body ><![CDATA[]]]]><![CDATA[>]]></body\n></message >")
    got = romeo.next()
    assert got.find("{jabber:client}body").text == "]]>"
    assert b"CDATA" not in romeo.received and b"]]>" not in romeo.received


def test_the_language_of_the_stream_is_added(place):
    """RFC 6120, 8.1.5: xml:lang of the stream stands for that of a stanza"""
    juliet, romeo = place("juliet", "romeo", lang="fr")
    juliet.send(f"<message to='{romeo.full}'><body>Oui</body></message>")
    got = romeo.next()
    assert got.get("{http://www.w3.org/XML/1998/namespace}lang") == "fr"


def test_large_stanzas(place):
    """Larger than a packet between processes may be in one piece"""
    juliet, romeo = place("juliet", "romeo")
    text = "0123456789" * 20000
    juliet.send(f"<message to='{romeo.full}'><body>{text}</body></message>")
    romeo.expect(f"<message><body>{text}</body></message>")
    fence(juliet, romeo)


# To a full address: RFC 6121, 8.5.3


def test_stanzas_of_every_size(place):
    """About the sizes of the first and the further pieces of a client's queue"""
    juliet, romeo = place("juliet", "romeo")
    for n in (*range(320, 440), *range(3920, 4020)):
        juliet.send(f"<message to='{romeo.bare}' type='chat'><body>{'x' * n}</body></message>"
                    f"<message to='{romeo.bare}' type='chat'><body>{n}</body></message>")
        romeo.expect(f"<message><body>{'x' * n}</body></message>")
        romeo.expect(f"<message><body>{n}</body></message>")


def test_no_such_resource_chat_goes_to_the_account(place):
    """RFC 6121, 8.5.3.2.1: as if to the bare address"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<message to='{romeo.bare}/gone' type='chat'><body>?</body></message>")
    romeo.expect(f"<message to='{romeo.bare}/gone' type='chat'/>")


@pytest.mark.parametrize("kind", ["normal", "groupchat", "headline"])
def test_no_such_resource_other_messages(place, kind):
    """RFC 6121, 8.5.3.2.1: refused, and not given to other resources"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<message to='{romeo.bare}/gone' type='{kind}' id='m'/>")
    juliet.expect("<message type='error' id='m'><error type='cancel'><service-unavailable/></error></message>")
    fence(juliet, romeo)


def test_no_such_resource_errors_are_dropped(place):
    """RFC 6121, 8.5.3.2.1: silently ignored"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<message to='{romeo.bare}/gone' type='error' id='m'/>")
    juliet.ping()
    fence(juliet, romeo)


@pytest.mark.parametrize("kind", ["get", "set"])
def test_no_such_resource_iq(place, kind):
    """RFC 6121, 8.5.3.2.3"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<iq type='{kind}' id='q' to='{romeo.bare}/gone'><query xmlns='urn:example'/></iq>")
    juliet.expect(f"<iq type='error' id='q' from='{romeo.bare}/gone'>"
                  "<error type='cancel'><service-unavailable/></error></iq>")


@pytest.mark.parametrize("kind", ["result", "error"])
def test_no_such_resource_answers_are_dropped(place, kind):
    """RFC 6120, 8.3.1 and 8.2.3: no error for an error, nor for a result"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<iq type='{kind}' id='q' to='{romeo.bare}/gone'/>")
    juliet.ping()


@pytest.mark.parametrize("inner", ["", "<show>away</show><status>gone</status>"])
def test_presence_to_a_full_address(place, inner):
    """RFC 6121, 8.5.3.1 and 4.6"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<presence to='{romeo.full}'>{inner}</presence>")
    romeo.expect(f"<presence from='{juliet.full}' to='{romeo.full}'>{inner}</presence>")


def test_iq_to_a_resource_that_is_not_available(place):
    """RFC 6121, 8.5.3.1: connected is enough for a full address"""
    juliet, romeo = place("juliet", "romeo", until="bound")
    juliet.send(f"<iq type='get' id='q' to='{romeo.full}'><query xmlns='urn:example'/></iq>")
    romeo.expect(f"<iq type='get' id='q' from='{juliet.full}'/>")
    romeo.send(f"<iq type='error' id='q' to='{juliet.full}'>"
               f"<error type='cancel'><item-not-found xmlns='{xml.NS_STANZAS}'/></error></iq>")
    juliet.expect("<iq type='error' id='q'><error type='cancel'><item-not-found/></error></iq>")


# To a bare address: RFC 6121, 8.5.2


def test_chat_to_all_with_the_highest_priority(place):
    """RFC 6121, 8.5.2.1.1: equal ones all get it, or the most active one"""
    juliet, one, two = place("juliet", "romeo", "romeo")
    juliet.send(f"<message to='{one.bare}' type='chat'><body>Both?</body></message>")
    one.expect("<message type='chat'/>")
    two.expect("<message type='chat'/>")


def set_priority(stream, priority, *witnesses):
    stream.presence(priority)
    for s in (stream, *witnesses):
        s.expect(f"<presence from='{stream.full}'><priority>{priority}</priority></presence>")


def test_chat_prefers_priority(place):
    """RFC 6121, 8.5.2.1.1"""
    juliet, low, high = place("juliet", "romeo", "romeo")
    set_priority(high, 5, low)
    juliet.send(f"<message to='{low.bare}' type='chat'><body>One</body></message>")
    high.expect("<message type='chat'/>")
    fence(juliet, low)


def test_negative_priority_gets_nothing(place):
    """RFC 6121, 8.5.2.1: for none of its kinds"""
    juliet, romeo = place("juliet", "romeo")
    set_priority(romeo, -1)
    juliet.send(f"<message to='{romeo.bare}' type='chat' id='m'><body>?</body></message>")
    juliet.expect("<message type='error' id='m'><error type='cancel'><service-unavailable/></error></message>")
    juliet.send(f"<message to='{romeo.bare}' type='headline' id='h'><body>?</body></message>")
    juliet.ping()
    fence(juliet, romeo)


def test_headlines_go_to_everyone(place):
    """RFC 6121, 8.5.2.1.1: to all with a priority that is not negative"""
    juliet, low, high, never = place("juliet", "romeo", "romeo", "romeo")
    set_priority(high, 5, low, never)
    set_priority(never, -5, low, high)
    juliet.send(f"<message to='{low.bare}' type='headline' id='h'><body>News</body></message>")
    low.expect("<message id='h' type='headline'/>")
    high.expect("<message id='h' type='headline'/>")
    fence(juliet, never)


def test_groupchat_to_an_account_is_refused(place):
    """RFC 6121, 8.5.2.1.1"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<message to='{romeo.bare}' type='groupchat' id='m'/>")
    juliet.expect("<message type='error' id='m'><error type='cancel'><service-unavailable/></error></message>")
    fence(juliet, romeo)


def test_errors_to_an_account_are_ignored(place):
    """RFC 6121, 8.5.2.1.1"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<message to='{romeo.bare}' type='error' id='m'/>")
    juliet.ping()
    fence(juliet, romeo)


def test_a_message_of_an_unknown_type_is_normal(place):
    """RFC 6121, 5.2.2"""
    juliet, romeo = place("juliet", "romeo")
    juliet.send(f"<message to='{romeo.bare}' type='sonnet'><body>Shall I</body></message>")
    romeo.expect("<message><body>Shall I</body></message>")


@pytest.mark.parametrize("kind", ["chat", "normal"])
def test_nobody_online(server, kind):
    """RFC 6121, 8.5.2.2.1: service-unavailable until messages are stored"""
    juliet = server.stream("juliet").login(until="online")
    romeo = server.account("romeo")
    juliet.send(f"<message to='{romeo.bare}' type='{kind}' id='m'><body>?</body></message>")
    juliet.expect(f"<message type='error' id='m' from='{romeo.bare}'>"
                  "<error type='cancel'><service-unavailable/></error></message>")


@pytest.mark.parametrize("kind", ["headline", "error"])
def test_nobody_online_silence(server, kind):
    """RFC 6121, 8.5.2.2.1"""
    juliet = server.stream("juliet").login(until="online")
    juliet.send(f"<message to='{server.account('romeo').bare}' type='{kind}' id='m'/>")
    juliet.expect_nothing()


@pytest.mark.parametrize("stanza", [
    "<message type='chat' id='m' to='{}'><body>?</body></message>",
    "<message type='normal' id='m' to='{}'/>",
    "<iq type='get' id='m' to='{}'><query xmlns='urn:example'/></iq>",
    "<iq type='set' id='m' to='{}'><query xmlns='urn:example'/></iq>"])
def test_no_such_user(server, stanza):
    """RFC 6121, 8.5.1; the same as for a user who is offline: nobody learns who exists"""
    juliet = server.stream("juliet").login(until="online")
    name = stanza[1:].split(" ")[0]
    for target in ("no-such-user@example.net", "no-such-user@example.net/r"):
        juliet.send(stanza.format(target))
        juliet.expect(f"<{name} type='error' id='m' from='{target}'>"
                      f"<error type='cancel'><service-unavailable/></error></{name}>")


def test_no_such_user_presence(server):
    """RFC 6121, 8.5.1: silently ignored"""
    juliet = server.stream("juliet").login(until="online")
    juliet.send("<presence to='no-such-user@example.net'/>")
    juliet.expect_nothing()


def test_a_bound_resource_without_presence_gets_no_message(place):
    """RFC 6121, 8.5.2: available resources only"""
    juliet, romeo = place("juliet", "romeo", until="bound")
    juliet.send(f"<message to='{romeo.bare}' type='chat' id='m'><body>?</body></message>")
    juliet.expect("<message type='error' id='m'><error><service-unavailable/></error></message>")


# To the server and to oneself


@pytest.mark.parametrize("target", ["host", "bare", None])
@pytest.mark.parametrize("kind", ["get", "set"])
def test_unknown_namespace(server, target, kind):
    """RFC 6120, 8.4 and 10.3.3; RFC 6121, 8.5.2.1.3: the server answers for the account"""
    juliet = server.stream().login(until="online")
    to = getattr(juliet, target) if target else None
    answer = juliet.request("<query xmlns='urn:example:unknown'/>", kind, to=to)
    assert xml.matches(xml.pattern(
        "<iq type='error'><error type='cancel'><service-unavailable/></error></iq>"), answer)
    assert answer.get("from") in (to, juliet.bare, None)


def test_iq_to_another_account_is_answered_by_the_server(place):
    """RFC 6121, 8.5.2.1.3: never by one of its clients"""
    juliet, romeo = place("juliet", "romeo")
    answer = juliet.request("<query xmlns='urn:example'/>", to=romeo.bare)
    assert xml.matches(xml.pattern(
        f"<iq type='error' from='{romeo.bare}'><error type='cancel'><service-unavailable/></error></iq>"),
        answer), xml.show(answer)
    fence(juliet, romeo)


BAD_IQ = {
    "no type": "<iq id='q'><query xmlns='urn:example'/></iq>",
    "unknown type": "<iq id='q' type='ask'><query xmlns='urn:example'/></iq>",
    "get without a child": "<iq id='q' type='get'/>",
    "set without a child": "<iq id='q' type='set'/>",
    "two children": "<iq id='q' type='get'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>",
    "no id": "<iq type='get'><query xmlns='urn:example'/></iq>",
}


@pytest.mark.parametrize("case", BAD_IQ, ids=lambda c: c.replace(" ", "-"))
@pytest.mark.parametrize("target", ["server", "peer"])
def test_bad_iq(server, case, target):
    """RFC 6120, 8.2.3 and 8.3.3.1: bad-request from the server, and nothing for the peer"""
    juliet = server.stream("juliet").login(until="online")
    romeo = server.stream("romeo").login(until="online")
    to = juliet.host if target == "server" else romeo.full
    juliet.send(BAD_IQ[case].replace("<iq ", f"<iq to='{to}' "))
    juliet.expect("<iq type='error'><error type='modify'><bad-request/></error></iq>")
    fence(juliet, romeo)


def test_a_result_nobody_asked_for(server):
    """RFC 6120, 8.2.3: dropped"""
    juliet = server.stream().login(until="online")
    juliet.send(f"<iq type='result' id='x' to='{juliet.host}'/><iq type='error' id='y' to='{juliet.bare}'/>")
    juliet.expect_nothing()


@pytest.mark.parametrize("kind", ["chat", "normal", "groupchat"])
def test_message_to_the_server(server, kind):
    """RFC 6120, 10.3.1 and 10.4.1: the server may refuse, or ignore"""
    juliet = server.stream().login(until="online")
    juliet.send(f"<message id='m' to='{juliet.host}' type='{kind}'><body>?</body></message>"
                f"<iq type='get' id='p' to='{juliet.host}'><ping xmlns='urn:xmpp:ping'/></iq>")
    got = juliet.next()
    if got.tag == "{jabber:client}message":
        assert xml.matches(xml.pattern("<message id='m' type='error'><error/></message>"), got)
        got = juliet.next()
    assert got.get("id") == "p"


def test_message_without_to_goes_to_oneself(server):
    """RFC 6120, 10.3.1: as if to one's own bare address"""
    juliet = server.stream().login(until="online")
    juliet.send("<message type='chat'><body>Note to self</body></message>")
    juliet.expect(f"<message from='{juliet.full}'><body>Note to self</body></message>")


def test_message_to_oneself(place):
    """Another resource of one's own account is nothing special"""
    one, two = place("juliet", "juliet")
    one.send(f"<message to='{two.full}'><body>Hi me</body></message>")
    two.expect(f"<message from='{one.full}'><body>Hi me</body></message>")


@pytest.mark.parametrize("stanza, name", [
    ("<message id='m' to='romeo@elsewhere.example' type='chat'><body>?</body></message>", "message"),
    ("<iq id='m' to='elsewhere.example' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", "iq")])
def test_other_domains(server, stanza, name):
    """RFC 6120, 10.4: remote-server-not-found while there are no connections to servers"""
    juliet = server.stream().login(until="online")
    juliet.send(stanza)
    got = juliet.expect(f"<{name} type='error' id='m'><error/></{name}>")
    assert xml.matches(xml.pattern(f"<{name}><error><remote-server-not-found/></error></{name}>"), got) \
        or xml.matches(xml.pattern(f"<{name}><error><service-unavailable/></error></{name}>"), got)


def test_errors_are_not_bounced_to_other_domains(server):
    """RFC 6120, 8.3.1: an error is never answered by an error"""
    juliet = server.stream().login(until="online")
    juliet.send("<message type='error' id='m' to='romeo@elsewhere.example'/>"
                "<presence type='error' to='romeo@elsewhere.example'/>"
                "<iq type='result' id='m' to='romeo@elsewhere.example'/>")
    juliet.expect_nothing()


def test_an_error_has_what_was_sent(server):
    """RFC 6120, 8.3.1: addresses swapped, same id, type and condition present"""
    juliet = server.stream().login(until="online")
    juliet.send("<message to='nobody@example.net/x' id='77' type='chat'><body>?</body></message>")
    got = juliet.expect(f"<message from='nobody@example.net/x' to='{juliet.full}' id='77' type='error'/>")
    error = got.find("{jabber:client}error")
    assert error.get("type") in ("auth", "cancel", "continue", "modify", "wait")


# Between hosts and between workers


def test_between_virtual_hosts(make_server):
    """Both are ours: no server connection is needed"""
    server = make_server(hosts=("example.net", "example.org"))
    juliet = server.stream("juliet", "example.net").login(until="online")
    romeo = server.stream("romeo", "example.org").login(until="online")
    juliet.send(f"<message to='{romeo.bare}' type='chat'><body>Over there</body></message>")
    romeo.expect(f"<message from='{juliet.full}'><body>Over there</body></message>")


def test_two_workers_use_one_frame_per_message(routing):
    """DESIGN: a message between local users crosses at most one socket"""
    routing.new_test()
    juliet, romeo = routing.pair(until="online")
    before = routing.counter("stanzas_routed")
    juliet.send("".join(f"<message to='{romeo.full}' id='m{i}'/>" for i in range(20)))
    for i in range(20):
        romeo.expect(f"<message id='m{i}'/>")
    wait.until(lambda: routing.counter("stanzas_routed") >= before + 20, "the counter")
    assert routing.counter("stanzas_routed") == before + 20
    routing.new_test()


def test_a_session_that_ends_while_messages_fly(routing):
    """DESIGN: looked up again, never lost in silence: delivered, or answered with an error"""
    routing.new_test()
    slots = sorted(routing.worker_connections())
    juliet = routing.stream("juliet", worker=slots[0]).login(until="online")
    romeo = routing.stream("romeo", worker=slots[1], resource="r").login(until="online")
    n = 200
    juliet.send("".join(f"<message to='{romeo.full}' type='normal' id='m{i}'/>" for i in range(n // 2)))
    romeo.send("</stream:stream>")
    romeo.footer_sent = True
    juliet.send("".join(f"<message to='{romeo.full}' type='normal' id='m{i}'/>" for i in range(n // 2, n)))
    got = set()
    while True:
        kind, el = romeo.next_event()
        if kind != "element":
            break
        got.add(el.get("id"))
    romeo.closed = True
    while len(got) < n:
        el = juliet.expect("<message type='error'><error><service-unavailable/></error></message>")
        assert el.get("id") not in got
        got.add(el.get("id"))
    juliet.expect_nothing()
    routing.new_test()


def test_all_resources_end_while_a_message_flies(place, routing):
    """The same of one that each of them would get"""
    juliet, one, two = place("juliet", "romeo", "romeo")
    router = routing.processes("router")[0]["pid"]
    os.kill(router, signal.SIGSTOP)
    try:
        for s in (one, two):
            s.close()
        juliet.send(f"<message to='{one.bare}' type='chat' id='m'/>")
        assert juliet.next().get("type") == "error"
        juliet.expect_nothing()
    finally:
        os.kill(router, signal.SIGCONT)
