"""sm.py -- what tests say and expect of stream management (XEP-0198)"""
from . import xml

SM = "urn:xmpp:sm:3"


def enable(stream, attributes="resume='true'"):
    """The id of the session."""
    stream.send(f"<enable xmlns='{SM}' {attributes}/>")
    enabled = next_nonza(stream, "enabled")
    return enabled.get("id")


def next_nonza(stream, name, skip=("r",)):
    while True:
        el = stream.next()
        local = el.tag.rpartition("}")[2]
        if local in skip:
            continue
        assert local == name, xml.show(el)
        return el


def next_stanza(stream):
    """The next one that is not a request for an acknowledgement."""
    while True:
        el = stream.next()
        if el.tag != f"{{{SM}}}r":
            return el


def body(el):
    return el.find("{jabber:client}body").text


def ask_h(stream):
    stream.send(f"<r xmlns='{SM}'/>")
    return int(next_nonza(stream, "a").get("h"))


def resume(server, name, previd, h, worker=None, host=None):
    """A new connection that asks for the session, and the answer."""
    s = server.stream(name, worker=worker).login(until="features")
    s.send(f"<resume xmlns='{SM}' previd='{previd}' h='{h}'/>")
    return s, s.next()


def say(a, b, *texts):
    for text in texts:
        a.send(f"<message to='{b.full}' type='chat'><body>{text}</body></message>")
