"""xml.py -- a stream of XML as elements, and patterns to compare them with

A pattern is XML as one would write it in an RFC's example: it names what must be there.
Attributes and children that it does not name may be there too; '*' as a value stands for
any. Inside <error/> and <stream:error/> the namespace of conditions may be left out.
"""
import xml.etree.ElementTree as ET
import xml.parsers.expat

NS_CLIENT = "jabber:client"
NS_STREAM = "http://etherx.jabber.org/streams"
NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
NS_STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"

for prefix, uri in (("stream", NS_STREAM), ("sasl", NS_SASL), ("tls", NS_TLS)):
    ET.register_namespace(prefix, uri)


def _name(name):
    uri, _, local = name.rpartition(" ")
    return f"{{{uri}}}{local}" if uri else local


class Reader:
    """Bytes in, events out: ("open", element), ("element", element), ("close", None)"""

    def __init__(self):
        self.events = []
        self._depth = 0
        self._builder = None
        self._parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        if hasattr(self._parser, "SetReparseDeferralEnabled"):
            self._parser.SetReparseDeferralEnabled(False)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def feed(self, data):
        self._parser.Parse(data, False)

    def _start(self, name, attributes):
        attributes = {_name(k): v for k, v in attributes.items()}
        if self._depth == 0:
            self.events.append(("open", ET.Element(_name(name), attributes)))
        else:
            if self._depth == 1:
                self._builder = ET.TreeBuilder()
            self._builder.start(_name(name), attributes)
        self._depth += 1

    def _end(self, name):
        self._depth -= 1
        if self._depth == 0:
            self.events.append(("close", None))
            return
        self._builder.end(_name(name))
        if self._depth == 1:
            self.events.append(("element", self._builder.close()))
            self._builder = None

    def _text(self, text):
        if self._builder is not None:
            self._builder.data(text)


def parse(text):
    """One element as it would stand in a client's stream."""
    root = ET.fromstring(
        f"<r xmlns='{NS_CLIENT}' xmlns:stream='{NS_STREAM}' xmlns:sasl='{NS_SASL}'>{text}</r>")
    assert len(root) == 1, f"not one element: {text}"
    return root[0]


def pattern(text):
    root = parse(text)
    _conditions(root)
    return root


def _conditions(element):
    for child in element:
        if child.tag.startswith(f"{{{NS_CLIENT}}}"):
            local = child.tag.rpartition("}")[2]
            if element.tag == f"{{{NS_STREAM}}}error":
                child.tag = f"{{{NS_STREAMS}}}{local}"
            elif element.tag == f"{{{NS_CLIENT}}}error":
                child.tag = f"{{{NS_STANZAS}}}{local}"
        _conditions(child)


def matches(wanted, got):
    """Does the element `got` have everything that the pattern names?"""
    if wanted.tag != got.tag:
        return False
    for key, value in wanted.attrib.items():
        if key not in got.attrib or value not in ("*", got.attrib[key]):
            return False
    text = (wanted.text or "").strip()
    if text and text != "*" and text != (got.text or "").strip():
        return False
    left = list(got)
    for child in wanted:
        found = next((c for c in left if matches(child, c)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def error_of(answer):
    """The type and the condition of a stanza that must be an error."""
    assert answer.get("type") == "error", show(answer)
    error = answer.find(f"{{{NS_CLIENT}}}error")
    return error.get("type"), error[0].tag.rpartition("}")[2]


def show(element):
    return ET.tostring(element, encoding="unicode")


def escape(text):
    for raw, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&apos;")):
        text = text.replace(raw, entity)
    return text
