"""mam.py -- message archives as clients and the database see them (XEP-0313)"""
from . import database, wait, xml

NS = "urn:xmpp:mam:2"
NS_SID = "urn:xmpp:sid:0"
NS_RSM = "http://jabber.org/protocol/rsm"
NS_FORWARD = "urn:xmpp:forward:0"
CLIENT = f"{{{xml.NS_CLIENT}}}"


class Page:
    """An answer: its messages as they came, and what <fin/> says."""

    def __init__(self, results, fin):
        self.results = results
        self.ids = [r.get("id") for r in results]
        self.queryids = {r.get("queryid") for r in results}
        self.forwarded = [r.find(f"{{{NS_FORWARD}}}forwarded") for r in results]
        self.messages = [f.find(f"{CLIENT}message") for f in self.forwarded]
        self.bodies = [m.findtext(f"{CLIENT}body") for m in self.messages]
        self.complete = fin.get("complete") == "true"
        rsm = fin.find(f"{{{NS_RSM}}}set")
        first = rsm.find(f"{{{NS_RSM}}}first")
        self.first = None if first is None else first.text
        self.last = rsm.findtext(f"{{{NS_RSM}}}last")
        count = rsm.findtext(f"{{{NS_RSM}}}count")
        self.count = None if count is None else int(count)


def query_text(rsm=None, flip=False, queryid=None, **fields):
    """rsm: a dict of elements; fields: of the form, `_` for `-`; a list for several values."""
    form = ""
    if fields:
        form = f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{NS}</value></field>"
        for var, values in fields.items():
            values = values if isinstance(values, (list, tuple)) else [values]
            form += f"<field var='{var.replace('_', '-')}'>" + "".join(
                f"<value>{xml.escape(str(v))}</value>" for v in values) + "</field>"
        form += "</x>"
    page = ""
    if rsm is not None:
        page = f"<set xmlns='{NS_RSM}'>" + "".join(
            f"<{k}/>" if v is None else f"<{k}>{xml.escape(str(v))}</{k}>"
            for k, v in rsm.items()) + "</set>"
    attribute = f" queryid='{xml.escape(queryid)}'" if queryid else ""
    return f"<query xmlns='{NS}'{attribute}>{form}{page}{'<flip-page/>' if flip else ''}</query>"


def take_page(stream, i):
    """What comes up to the answer with this id."""
    results = []
    while True:
        got = stream.next()
        if got.tag == f"{CLIENT}message":
            assert got.get("from") == stream.bare and got.get("to") == stream.full, xml.show(got)
            results.append(got.find(f"{{{NS}}}result"))
            continue
        assert got.tag == f"{CLIENT}iq" and got.get("id") == i, xml.show(got)
        assert got.get("type") == "result", xml.show(got)
        return Page(results, got.find(f"{{{NS}}}fin"))


def page(stream, rsm=None, **how):
    i = stream.next_id()
    stream.send(f"<iq type='set' id='{i}'>{query_text(rsm, **how)}</iq>")
    return take_page(stream, i)


def error(stream, text, kind="set", to=None):
    """(condition, type) of the error that answers."""
    answer = stream.request(text, kind, to)
    assert answer.get("type") == "error", xml.show(answer)
    e = answer.find(f"{CLIENT}error")
    return (next(c.tag.rpartition("}")[2] for c in e if c.tag.startswith(f"{{{xml.NS_STANZAS}}}")
                 and not c.tag.endswith("}text")), e.get("type"))


def stanza_id(message, by):
    """The id that this archive gave the message; None: none."""
    found = [e.get("id") for e in message.findall(f"{{{NS_SID}}}stanza-id") if e.get("by") == by]
    assert len(found) <= 1, xml.show(message)
    return found[0] if found else None


def rows(server, account, columns="timestamp, peer, bare_peer, xml, txt, kind, nick, origin_id"):
    user, _, host = account.bare.partition("@")
    return database.rows(server, f"select {columns} from archive where username = ? order by timestamp",
                         user, host=host)


def wait_rows(server, account, n, columns="timestamp, peer, bare_peer, xml, txt, kind, nick, origin_id"):
    """All n rows of an archive, once they are there."""
    return wait.until(lambda: (lambda r: len(r) >= n and r)(rows(server, account, columns)),
                      f"{n} rows in the archive of {account.bare}")


def fill(server, user, n, start=1_700_000_000_000_000, step=1_000_000, peers=("romeo@example.net/a",),
         body=lambda i: f"message {i}"):
    """Rows as ejabberd writes them, n of them with ids step apart; returns the ids."""
    ids = [start + i * step for i in range(n)]
    many = []
    for i, stamp in enumerate(ids):
        peer = peers[i % len(peers)]
        text = body(i)
        many.append((user, stamp, peer, peer.partition("/")[0],
                     f"<message to='{user}@example.net' from='{peer}' type='chat' id='m{i}' "
                     f"xmlns='jabber:client'><body>{xml.escape(text)}</body></message>",
                     text, "chat", "", f"m{i}"))
    database.change_many(
        server, "insert into archive (username, timestamp, peer, bare_peer, xml, txt, kind, nick,"
        " origin_id) values (?, ?, ?, ?, ?, ?, ?, ?, ?)", many)
    return ids
