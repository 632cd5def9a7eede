"""The module interface: doc/MODULES.md, by its two examples"""
import os
import re
import signal

import pytest

from harness import wait, xml


@pytest.fixture(scope="module")
def examples(session_maker):
    return session_maker(hosts=("example.net", "example.com"), config={
        "acl": {"admin": {"user": ["boss"]}},
        "access_rules": {"configure": {"allow": "admin"}},
        "modules": {"mod_ping": {}, "mod_cputime": {}, "mod_echo": {}},
        "host_config": {"example.com": {"modules": {"mod_ping": {}}}}})


@pytest.fixture
def server(examples):
    examples.new_test()
    yield examples
    examples.new_test()


def test_a_request_to_the_server(make_server):
    """mod_cputime: who may ask gets a number, which grows"""
    server = make_server(config={
        "access_rules": {"configure": {"allow": "all"}},
        "modules": {"mod_ping": {}, "mod_cputime": {}}})
    juliet = server.stream().login()

    def asked():
        answer = juliet.request("<query xmlns='ejabberd:cputime'/>", to="example.net")
        assert answer.get("type") == "result", xml.show(answer)
        return int(answer.find("{ejabberd:cputime}query/{ejabberd:cputime}time").text)
    assert 0 <= asked() <= asked()


def test_who_may_not_ask(server):
    """The access rule that the option names"""
    juliet = server.stream().login()
    answer = juliet.request("<query xmlns='ejabberd:cputime'/>", to="example.net")
    assert answer.get("type") == "error"
    assert answer.find("{jabber:client}error/{urn:ietf:params:xml:ns:xmpp-stanzas}forbidden") is not None


@pytest.mark.parametrize("kind, to, condition", [
    ("set", "example.net", "not-allowed"),
    ("get", None, "service-unavailable"),
    ("get", "example.com", "service-unavailable")])
def test_where_a_module_answers(server, kind, to, condition):
    """By type, by component, by host: host_config of example.com does not name it"""
    juliet = server.stream().login()
    answer = juliet.request("<query xmlns='ejabberd:cputime'/>", kind, to=to)
    assert answer.get("type") == "error"
    assert answer.find("{jabber:client}error/{urn:ietf:params:xml:ns:xmpp-stanzas}" + condition) is not None


def test_the_echo(server):
    """A service with a domain of its own"""
    juliet = server.stream().login()
    juliet.send("<message to='anybody@echo.example.net/x' type='chat' id='1'><body>hi</body></message>")
    juliet.expect(f"<message from='anybody@echo.example.net/x' to='{juliet.full}' type='chat' id='1'>"
                  "<body>hi</body></message>")
    juliet.send("<message to='echo.example.net' type='error' id='2'><body>hi</body></message>")
    juliet.expect_nothing()
    assert juliet.request("<ping xmlns='urn:xmpp:ping'/>", to="echo.example.net").get("type") == "result"
    assert juliet.request("<query xmlns='x:y'/>", to="echo.example.net").get("type") == "error"


def test_the_echo_of_another_host(server):
    """Only where it is configured"""
    juliet = server.stream().login()
    juliet.send("<message to='echo.example.com' id='1'><body>hi</body></message>")
    juliet.expect("<message type='error' id='1'><error><remote-server-not-found/></error></message>")


def test_a_module_is_added_and_taken_away(make_server):
    """reload_config, without a connection being lost"""
    server = make_server()
    juliet = server.stream().login()
    assert juliet.request("<ping xmlns='urn:xmpp:ping'/>", to="echo.example.net").get("type") == "error"
    server.write_config(modules={"mod_ping": {}, "mod_echo": {"host": "parrot.@HOST@"}})
    server.ctl("reload_config")
    assert juliet.request("<ping xmlns='urn:xmpp:ping'/>", to="parrot.example.net").get("type") == "result"
    server.write_config(modules={"mod_ping": {}})
    server.ctl("reload_config")
    assert juliet.request("<ping xmlns='urn:xmpp:ping'/>", to="parrot.example.net").get("type") == "error"


def test_options_of_others_modules_are_checked(make_server):
    """modules/mod_echo.options: an error names the file, the line and the option"""
    server = make_server(start=False, config={"modules": {"mod_ping": {}, "mod_echo": {"hots": "x"}}})
    server.spawn("-t", "-c", server.conf_file).wait(wait.PATIENCE)
    assert re.search(r"stanzad.yml:\d+:\d+: error: .*mod_echo.*hots.*did you mean host", server.stderr()), \
        server.stderr()


def test_workers_die(make_server):
    """Services and requests are there again"""
    server = make_server(config={"modules": {"mod_ping": {}, "mod_echo": {}}})
    juliet = server.stream().login()
    before = [p["pid"] for p in server.processes("worker")]
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    juliet.send("<message to='echo.example.net' id='1'><body>hi</body></message>")
    juliet.expect("<message from='echo.example.net' id='1'><body>hi</body></message>")
