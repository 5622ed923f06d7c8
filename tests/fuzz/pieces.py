"""Pieces of what clients, browsers and people write, for inputs that look almost right."""

from __future__ import annotations

__all__ = ["ENDPOINT_PIECES", "HTTP_PIECES", "INI_PIECES", "RESP_PIECES"]

# fmt: off
RESP_PIECES = [
    b"*1\r\n", b"*2\r\n", b"*3\r\n", b"*0\r\n", b"*-1\r\n", b"*02\r\n", b"*999\r\n", b"*1000\r\n",
    b"*+1\r\n", b"$1\r\na\r\n", b"$3\r\nSET\r\n", b"$3\r\nget\r\n", b"$0\r\n\r\n", b"$-1\r\n",
    b"$5\r\n*1\r\nx\r\n", b"$4\r\n", b"$1\na\r\n", b"$1\r\naxx", b"+GET\r\n", b"(1\r\n", b"=5\r\ntxt:a\r\n",
    b"~1\r\n", b"%1\r\n", b"|1\r\n", b">1\r\n", b":1\r\n", b",1.5\r\n", b"#t\r\n", b"_\r\n", b"-ERR\r\n",
    b"!3\r\nabc\r\n", b"$?\r\n", b"*?\r\n", b".\r\n", b"PING\r\n", b"SET a 1\r\n", b'GET "a\\x41"\r\n',
    b"GET 'a", b"\r\n", b"\n", b"\x00", b"HELLO 3\r\n", b"QUIT\r\n", b"INCR a\r\n", b"MSET a 1 b 2\r\n",
    b"FLUSHALL\r\n", b"CONFIG GET *\r\n", b"COMMAND\r\n", b"INFO\r\n",
]
HTTP_PIECES = [
    b"GET /status HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n", b"POST /x HTTP/1.1\r\n",
    b"HEAD /status HTTP/1.1\r\n", b"GET\r\n", b"Host: a\r\n", b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b": \r\n", b"\r\n", b"5\r\nhello\r\n",
    b"0\r\n\r\n", b"hello", b"\xff\r\n", b"Expect: 100-continue\r\n", b" folded\r\n",
    b"Connection: close\r\n", b"OPTIONS * HTTP/1.1\r\n", b"GET http://[:: HTTP/1.1\r\n",
    b"GET /%00%ff/.. HTTP/1.1\r\n", b"Content-Type: multipart/form-data; boundary=x\r\n",
    b"Cookie: a=\xff; =\r\n", b"Upgrade: h2c\r\n",
]
INI_PIECES = [
    "[cluster]\n", "name = a\n", "[replica 0]\n", "[replica 1]\n", "[replica 00]\n", "[timing]\n",
    "[\x00]\n", "[]\n", "[x", "peer = tcp:1:interface=127.0.0.1\n", "client = tcp:2\n", "status = unix:a\n",
    "data = x\n", "peer_connect = tcp:a:1\n", "= 1\n", "a\n", " b\n", "#c\n", ";d\n", "heartbeat_s = nan\n",
    "[state_machine]\n", "e = %(f)s\n", "\ufeff", "\r", "\x85", "[DEFAULT]\n", "name: b\n",
    "transport = tcp\n", "suspect_after_s = 1e999\n", "commands_max = 1_000\n", "window = ٣\n",
    "[log]\n", "format = json\n", "levels = epaxos.node: debug, a.b: warn\n", "levels = epaxos..: info\n",
]
ENDPOINT_PIECES = [
    "tcp", "tcp6", "ssl", "tls", "unix", "systemd", "stdio", "fd", "haproxy", "onion", ":", ":", ":", "=",
    "\\", "\\:", "port", "interface", "host", "address", "path", "mode", "backlog", "timeout",
    "bindAddress", "lockfile", "certKey", "7000", "0", "65536", "-1", "127.0.0.1", "::", "[::1]",
    "localhost", "a b", "é", "1" * 30, "privateKey", "domain", "index",
]
# fmt: on
