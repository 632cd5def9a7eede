"""estate_data.py -- vCards, private data, privacy lists, blocked addresses"""
from . import xml
from .estate import NS, Part, ask, get, leaves, one, put, settle, some, soon
from .xml import parse


class Vcard(Part):
    modules = ("mod_vcard",)

    OLD = """<vCard xmlns='vcard-temp'><FN>Viola É. ẞtraße</FN>
        <N><FAMILY>of Messaline</FAMILY><GIVEN>Viola</GIVEN><MIDDLE>Ä.</MIDDLE></N>
        <NICKNAME>Cesario</NICKNAME><BDAY>1600-01-06</BDAY>
        <ADR><HOME/><LOCALITY>Illyria</LOCALITY><CTRY>Adria</CTRY></ADR>
        <EMAIL><INTERNET/><USERID>Viola@Example.com</USERID></EMAIL>
        <ORG><ORGNAME>Duke &amp; Co</ORGNAME><ORGUNIT>Pages</ORGUNIT></ORG>
        <DESC>multi
line 'q' "d" \\ back</DESC>
        <PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgo=</BINVAL></PHOTO></vCard>"""
    NEW = """<vCard xmlns='vcard-temp'><FN>Sebastian</FN><NICKNAME>Twin Żółć</NICKNAME>
        <EMAIL><INTERNET/><USERID>s@example.com</USERID></EMAIL></vCard>"""

    def write(self, world):
        self.set(world, self.OLD)
        world.account("reader")

    @staticmethod
    def set(world, text):
        s = world.login("viola")
        put(s, text.replace("\n        ", ""))

    def look(self, world):
        self.see(world, self.OLD)
        self.find(world, "nick", "cesar*")
        self.find(world, "fn", "VIOLA é*")
        self.find(world, "email", "viola@example.com")
        self.find(world, "nick", "Żół*", found=False)

    def see(self, world, text):
        reader, viola = world.login("reader"), world.login("viola")
        wanted = leaves(parse(text.replace("\n        ", "")))
        for s, to in ((reader, viola.bare), (viola, None)):
            assert leaves(get(s, "<vCard xmlns='vcard-temp'/>", to)) == wanted

    @staticmethod
    def find(world, field, value, found=True):
        """XEP-0055, with a form"""
        s = world.login("reader")
        answer, _ = ask(s, f"<query xmlns='{NS['search']}'><x xmlns='{NS['data']}' type='submit'>"
                           f"<field var='{field}'><value>{value}</value></field></x></query>",
                        "set", f"vjud.{world.host}")
        assert answer.get("type") == "result", xml.show(answer)
        jids = [f.findtext("data:value", None, NS)
                for f in answer.findall(".//data:item/data:field[@var='jid']", NS)]
        assert jids == ([world.bare("viola")] if found else []), xml.show(answer)

    def change(self, world):
        self.set(world, self.NEW)

    def look_changed(self, world):
        self.see(world, self.NEW)
        self.find(world, "nick", "twin Żó*")
        self.find(world, "nick", "cesar*", found=False)


class Private(Part):
    modules = ("mod_private",)

    BOOKMARKS = """<storage xmlns='storage:bookmarks'><conference name='Capulets &amp; co'
        autojoin='true' jid='hall@conference.example.net'><nick>Jül</nick></conference>
        <url name='u' url='http://example.net/?a=1&amp;b=2'/></storage>"""
    PREFS = "<exodus xmlns='exodus:prefs'><defaultnick>\\ 'Hamlet'</defaultnick></exodus>"
    NEW = "<storage xmlns='storage:bookmarks'><url name='ż' url='x:&lt;'/></storage>"
    NEW_PREFS = "<other xmlns='urn:other'/>"

    def write(self, world):
        self.set(world, self.BOOKMARKS + self.PREFS)

    @staticmethod
    def set(world, inner):
        s = world.login("hamlet")
        put(s, f"<query xmlns='{NS['private']}'>{inner}</query>")

    def look(self, world):
        self.see(world, self.BOOKMARKS, self.PREFS)

    @staticmethod
    def see(world, *texts):
        s = world.login("hamlet")
        for text in texts:
            wanted = parse(text)
            ns, _, tag = wanted.tag[1:].partition("}")
            query = get(s, f"<query xmlns='{NS['private']}'><{tag} xmlns='{ns}'/></query>")
            assert len(query) == 1
            assert [(p, t.strip(), a) for p, t, a in leaves(query[0])] \
                == [(p, t.strip(), a) for p, t, a in leaves(wanted)], xml.show(query)

    def change(self, world):
        self.set(world, self.NEW)
        self.set(world, self.NEW_PREFS)

    def look_changed(self, world):
        self.see(world, self.NEW, self.PREFS, self.NEW_PREFS)


def rule(action, order, kind=None, value=None, *parts):
    """A rule of a privacy list as XML, its parts in alphabetical order"""
    who = f" type='{kind}' value='{value}'" if kind else ""
    return (f"<item action='{action}' order='{order}'{who}>"
            f"{''.join(f'<{p}/>' for p in sorted(parts))}</item>")


class Privacy(Part):
    """XEP-0016: lists with every kind of rule, one of them the default"""

    modules = ("mod_privacy",)

    def lists(self, world):
        h = world.host
        return {
            "work": [
                rule("deny", 3, "jid", f"villain@{h}", "message"),
                rule("deny", 4, "jid", "example.org", "iq", "presence-out"),
                rule("allow", 10, "subscription", "both"),
                rule("deny", 11, "subscription", "none", "presence-in", "presence-out"),
                rule("allow", 4294967295)],
            "Über &quot;q&quot;": [rule("deny", 0, "jid", f"x@{h}/Res")],
            "groups": [rule("allow", 7, "group", "Ene &amp; mies"),
                       rule("deny", 8, "subscription", "from")],
        }

    def write(self, world):
        world.account("villain")
        s = world.login("guard")
        put(s, f"<query xmlns='{NS['roster']}'><item jid='y@example.org'>"
               "<group>Ene &amp; mies</group></item></query>")
        for name, rules in self.lists(world).items():
            self.set(s, name, rules)
        put(s, f"<query xmlns='{NS['privacy']}'><default name='work'/></query>")

    @staticmethod
    def set(s, name, rules):
        put(s, f"<query xmlns='{NS['privacy']}'><list name='{name}'>{''.join(rules)}</list>"
               "</query>")

    def look(self, world):
        self.see(world, self.lists(world), "work")
        self.meet(world, False)

    @staticmethod
    def see(world, lists, default):
        s = world.login("guard")
        query = get(s, f"<query xmlns='{NS['privacy']}'/>")
        assert [e.get("name") for e in query.findall("privacy:default", NS)] == [default]
        names = {parse(f"<x a='{n}'/>").get("a"): n for n in lists}
        assert sorted(e.get("name") for e in query.findall("privacy:list", NS)) == sorted(names)
        for name, escaped in names.items():
            found = get(s, f"<query xmlns='{NS['privacy']}'><list name='{escaped}'/></query>")[0]
            assert [_rule(e) for e in found] == [
                _rule(parse(r)) for r in lists[escaped]], xml.show(found)

    @staticmethod
    def meet(world, allowed):
        """What the default list means for a message of the villain's"""
        guard, _ = world.enter("guard")
        villain = world.login("villain")
        villain.send(f"<message to='{guard.bare}' id='v'><body>en garde</body></message>")
        came, heard = settle(villain, guard)
        assert bool(some(heard, "<message id='v'/>")) == allowed
        if not allowed:
            soon(villain, came, f"<message type='error' id='v' from='{guard.bare}'/>")

    def new_lists(self, world):
        lists = self.lists(world)
        del lists["groups"]
        lists["work"] = [rule("allow", 1, "jid", world.bare("villain"), "iq", "message"),
                         rule("deny", 2)]
        return lists

    def change(self, world):
        s = world.login("guard")
        self.set(s, "work", self.new_lists(world)["work"])
        self.set(s, "groups", [])

    def look_changed(self, world):
        self.see(world, self.new_lists(world), "work")
        self.meet(world, True)


def _rule(e):
    return (tuple(sorted(e.attrib.items())), tuple(sorted(c.tag.rpartition("}")[2] for c in e)))


class Blocking(Part):
    """XEP-0191: the default privacy list, whoever made it"""

    modules = ("mod_privacy", "mod_blocking")

    def write(self, world):
        for user in ("pest", "pest-2"):
            world.account(user)
        for user in ("portia", "jessica"):
            s = world.login(user)
            put(s, self.command(world, "block", "pest", "pest-2/r"))
        # Who has a default list already, gets the addresses into it.
        s = world.login("nerissa")
        Privacy.set(s, "own", [rule("deny", 5, "subscription", "from", "presence-in"),
                               rule("allow", 6)])
        put(s, f"<query xmlns='{NS['privacy']}'><default name='own'/></query>")
        put(s, self.command(world, "block", "pest"))

    @staticmethod
    def command(world, name, *users):
        jids = [f"{world.bare(u.partition('/')[0])}{'/r' if '/' in u else ''}" for u in users]
        items = "".join(f"<item jid='{j}'/>" for j in jids)
        return f"<{name} xmlns='{NS['block']}'>{items}</{name}>"

    def look(self, world):
        b = world.bare
        self.see(world, "portia", b("pest"), b("pest-2") + "/r")
        self.see(world, "jessica", b("pest"), b("pest-2") + "/r")
        self.see(world, "nerissa", b("pest"))
        for user in ("portia", "nerissa"):
            self.meet(world, user, "pest", False)

    @staticmethod
    def see(world, user, *jids):
        s = world.login(user)
        found = get(s, f"<blocklist xmlns='{NS['block']}'/>")
        assert sorted(e.get("jid") for e in found) == sorted(jids)

    @staticmethod
    def meet(world, user, pest, allowed):
        s, _ = world.enter(user)
        p = world.login(pest)
        p.send(f"<message to='{s.bare}' type='chat' id='p'><body>hello?</body></message>")
        came, heard = settle(p, s)
        assert bool(some(heard, "<message id='p'/>")) == allowed
        if not allowed:
            soon(p, came, f"<message type='error' id='p' from='{s.bare}'/>")
            s.send(f"<message to='{p.full}' id='out'><body>go away</body></message>")
            one(settle(s), "<message type='error' id='out'/>")

    def change(self, world):
        s = world.login("portia")
        put(s, self.command(world, "unblock", "pest"))
        put(s, self.command(world, "block", "pest-3"))
        s = world.login("nerissa")
        put(s, self.command(world, "unblock", "pest"))
        s = world.login("jessica")
        put(s, self.command(world, "unblock"))

    def look_changed(self, world):
        b = world.bare
        self.see(world, "portia", b("pest-2") + "/r", b("pest-3"))
        self.see(world, "jessica")
        self.see(world, "nerissa")
        for user in ("portia", "nerissa", "jessica"):
            self.meet(world, user, "pest", True)
        s = world.login("nerissa")
        found = get(s, f"<query xmlns='{NS['privacy']}'><list name='own'/></query>")[0]
        assert [_rule(e) for e in found] == [
            _rule(parse(rule("deny", 5, "subscription", "from", "presence-in"))),
            _rule(parse(rule("allow", 6)))]
