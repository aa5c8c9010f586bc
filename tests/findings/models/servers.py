"""The real servers: how each is started, and the model and architecture that its documentation gives it."""

from __future__ import annotations

import sys

from findings.models import Architecture, Model
from tests.findings.models.real import Command, Real, Site, datagrams, lines, web

PYTHON = sys.executable
_HTTP = web("/index.html")
_ONE = (Architecture.SINGLE_LOOP,)
_LOOPS = (Architecture.LOOPS_ON_ONE_LISTENER,)
_EPOLL = (Model.EPOLL,)

NGINX = """
daemon off; pid FOLDER/pid; error_log FOLDER/errors; worker_processes 2;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path FOLDER/a; proxy_temp_path FOLDER/b; fastcgi_temp_path FOLDER/c;
  uwsgi_temp_path FOLDER/d; scgi_temp_path FOLDER/e;
  server { listen 127.0.0.1:PORTOPTIONS; root FOLDER; }
}
"""
WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "6")])
    return [b"hello\\n"]
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    headers = [(b"content-length", b"6")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello\\n"})
"""
SOCKETSERVER = """
import http.server, socketserver, sys
class Server(socketserver.MIXIN, http.server.HTTPServer):
    pass
Server(("127.0.0.1", PORT), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
AIOHTTP = """
from aiohttp import web
async def hello(request):
    return web.Response(text="hello")
app = web.Application()
app.add_routes([web.get("/{name}", hello)])
web.run_app(app, host="127.0.0.1", port=PORT)
"""
TORNADO = """
import asyncio, tornado.web
class Hello(tornado.web.RequestHandler):
    def get(self):
        self.write("hello")
async def main():
    tornado.web.Application([("/.*", Hello)]).listen(PORT, "127.0.0.1")
    await asyncio.Event().wait()
asyncio.run(main())
"""
TRIO = """
import trio
async def echo(stream):
    async for data in stream:
        await stream.send_all(data)
trio.run(lambda: trio.serve_tcp(echo, PORT, host="127.0.0.1"))
"""
GEVENT = """
from gevent.server import StreamServer
def echo(connection, address):
    while data := connection.recv(4096):
        connection.sendall(data)
StreamServer(("127.0.0.1", PORT), echo).serve_forever()
"""
CHEROOT = """
from cheroot import wsgi
from app import app
wsgi.Server(("127.0.0.1", PORT), app, numthreads=4).start()
"""
NODE_HTTP = "require('http').createServer((q, s) => s.end('hello')).listen(PORT, '127.0.0.1')"
NODE_FILES = """
const fs = require('fs');
require('http').createServer((q, s) => fs.readFile('FOLDER/index.html', (e, d) => s.end(d))).listen(PORT, '127.0.0.1')
"""
NODE_CLUSTER = """
const cluster = require('cluster');
if (cluster.isPrimary) {
  cluster.fork();
  cluster.fork();
  process.on('SIGTERM', () => process.exit(0));
} else require('http').createServer((q, s) => s.end('hello')).listen(PORT, '127.0.0.1');
"""
PERL = """
use IO::Socket::INET;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => PORT, Listen => 9, ReuseAddr => 1) or die;
while (my $connection = $listener->accept) {
  while (my $line = <$connection>) { print $connection $line; $connection->flush; }
}
"""
WEBRICK = """
require 'webrick'
server = WEBrick::HTTPServer.new(BindAddress: '127.0.0.1', Port: PORT, DocumentRoot: 'FOLDER', AccessLog: [])
trap('TERM') { server.shutdown }
server.start
"""
RACKUP = "run ->(env) { [200, {'content-length' => '6'}, [\"hello\\n\"]] }\n"
APACHE = """
ServerRoot FOLDER
PidFile FOLDER/pid
DefaultRuntimeDir FOLDER
Listen 127.0.0.1:PORT
ServerName localhost
ErrorLog FOLDER/errors
DocumentRoot FOLDER
LoadModule mpm_MPM_module /usr/lib/apache2/modules/mod_mpm_MPM.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
User www-data
Group www-data
"""
HAPROXY = """
global
  nbthread 2
defaults
  mode http
  timeout client 9s
  timeout server 9s
  timeout connect 9s
listen web
  bind 127.0.0.1:PORT
  http-request return status 200 content-type text/plain string hello
"""
VARNISH = """
vcl 4.1;
backend none none;
sub vcl_recv { return (synth(200, "hello")); }
"""
LIGHTTPD = """
server.document-root = "FOLDER"
server.port = PORT
server.bind = "127.0.0.1"
"""
XINETD = """
service echoes
{
  type = UNLISTED
  port = PORT
  bind = 127.0.0.1
  socket_type = stream
  protocol = tcp
  wait = no
  user = root
  server = /bin/cat
}
"""
H2O = """
listen: { host: 127.0.0.1, port: PORT }
num-threads: 2
user: root
hosts: { default: { paths: { "/": { file.dir: FOLDER } } } }
"""
DNS_QUERY = bytes.fromhex("000101000001000000000000 04 74657374 00 0001 0001")


def _with_file(name: str, text: str, *words: str) -> Command:
    """A command whose last word is a file with that text."""
    return lambda site: [*words, site.file(name, text)]


def _python(script: str) -> Command:
    return _with_file("server.py", script, PYTHON)


def _of_app(text: str, *words: str) -> Command:
    """A server of Python that serves the module app; PORT in a word is the port."""

    def command(site: Site) -> list[str]:
        site.file("app.py", text)
        site.file("config.ru", RACKUP)
        return [site.filled(word) for word in words]

    return command


def _words(*words: str) -> Command:
    return lambda site: [site.filled(word) for word in words]


def _nginx(options: str = "") -> Command:
    text = NGINX.replace("OPTIONS", options)
    return lambda site: ["nginx", "-p", str(site.folder), "-e", str(site.folder / "errors"), "-c", site.file("conf", text)]


def _apache(mpm: str) -> Command:
    return lambda site: ["apache2", "-DFOREGROUND", "-f", site.file("conf", APACHE.replace("MPM", mpm))]


def _gunicorn(*options: str) -> Command:
    return _of_app(WSGI, PYTHON, "-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--chdir", "FOLDER", *options, "app:app")


def _uvicorn(*options: str) -> Command:
    return _of_app(
        ASGI, PYTHON, "-m", "uvicorn", "--host", "127.0.0.1", "--port", "PORT", "--app-dir", "FOLDER",
        "--no-access-log", *options, "app:app",
    )  # fmt: skip


_M, _A = Model, Architecture
SERVERS = (
    Real("nginx", "nginx", "apt-get install nginx-light", _nginx(), _HTTP, (_M.EPOLL_EDGE,), _LOOPS, in_ci=True),
    Real(
        "nginx reuseport",
        "nginx",
        "apt-get install nginx-light",
        _nginx(" reuseport"),
        _HTTP,
        (_M.EPOLL_EDGE,),
        (_A.LOOP_PER_LISTENER,),
        in_ci=True,
    ),
    Real(
        "redis",
        "redis-server",
        "apt-get install redis-server",
        _words("redis-server", "--port", "PORT", "--bind", "127.0.0.1", "--save", "", "--dir", "FOLDER"),
        lines(b"PING\r\n"),
        _EPOLL,
        _ONE,
        in_ci=True,
    ),
    Real(
        "redis io-threads",
        "redis-server",
        "apt-get install redis-server",
        _words(
            "redis-server",
            "--port",
            "PORT",
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            "FOLDER",
            "--io-threads",
            "3",
            "--io-threads-do-reads",
            "yes",
        ),
        lines(b"PING\r\n"),
        _EPOLL,
        (_A.LOOP_AND_HELPERS, _A.SINGLE_LOOP),
    ),
    Real(
        "memcached",
        "memcached",
        "apt-get install memcached",
        _words("memcached", "-t", "3", "-l", "127.0.0.1", "-p", "PORT", "-U", "0", "-u", "nobody"),
        lines(b"version\r\n"),
        _EPOLL,
        (_A.ACCEPTOR_AND_WORKERS,),
    ),
    Real(
        "lighttpd",
        "lighttpd",
        "apt-get install lighttpd",
        _with_file("conf", LIGHTTPD, "lighttpd", "-D", "-f"),
        _HTTP,
        _EPOLL,
        _ONE,
    ),
    Real(
        "haproxy",
        "haproxy",
        "apt-get install haproxy",
        _with_file("conf", HAPROXY, "haproxy", "-db", "-f"),
        _HTTP,
        _EPOLL,
        _LOOPS,
    ),
    Real(
        "dnsmasq",
        "dnsmasq",
        "apt-get install dnsmasq-base",
        _words(
            "dnsmasq",
            "-k",
            "-C",
            "/dev/null",
            "-p",
            "PORT",
            "--listen-address=127.0.0.1",
            "--bind-interfaces",
            "-R",
            "-h",
            "--address=/test/127.0.0.1",
            "-u",
            "root",
            "--pid-file=FOLDER/pid",
        ),
        datagrams(DNS_QUERY),
        (_M.POLL,),
        _ONE,
        udp=True,
    ),
    Real(
        "socat fork",
        "socat",
        "apt-get install socat",
        _words("socat", "TCP-LISTEN:PORT,bind=127.0.0.1,fork", "EXEC:cat"),
        lines(b"hello\n"),
        (_M.PROCESSES,),
        (_A.PROCESS_PER_CONNECTION,),
    ),
    Real(
        "busybox httpd",
        "busybox",
        "apt-get install busybox",
        _words("busybox", "httpd", "-f", "-p", "127.0.0.1:PORT", "-h", "FOLDER"),
        _HTTP,
        (_M.PROCESSES,),
        (_A.PROCESS_PER_CONNECTION,),
    ),
    Real(
        "http.server",
        "python3",
        "apt-get install python3",
        _words(PYTHON, "-m", "http.server", "--bind", "127.0.0.1", "--directory", "FOLDER", "PORT"),
        _HTTP,
        (_M.THREADS,),
        (_A.THREAD_PER_CONNECTION,),
        in_ci=True,
    ),
    Real(
        "HTTPServer",
        "python3",
        "apt-get install python3",
        _python(SOCKETSERVER.replace("socketserver.MIXIN, ", "")),
        _HTTP,
        (_M.BLOCKING,),
        (_A.SEQUENTIAL,),
        in_ci=True,
    ),
    Real(
        "ForkingMixIn",
        "python3",
        "apt-get install python3",
        _python(SOCKETSERVER.replace("MIXIN", "ForkingMixIn")),
        _HTTP,
        (_M.PROCESSES,),
        (_A.PROCESS_PER_CONNECTION,),
        in_ci=True,
    ),
    Real(
        "gunicorn sync",
        "python:gunicorn",
        "pip install gunicorn",
        _gunicorn("-w", "2"),
        _HTTP,
        (_M.PROCESS_POOL,),
        (_A.PREFORK,),
    ),
    Real(
        "gunicorn gthread",
        "python:gunicorn",
        "pip install gunicorn",
        _gunicorn("-w", "1", "--threads", "4"),
        _HTTP,
        _EPOLL,
        (_A.LOOP_AND_WORKERS,),
    ),
    Real(
        "gunicorn gevent",
        "python:gevent",
        "pip install gunicorn gevent",
        _gunicorn("-w", "2", "-k", "gevent"),
        _HTTP,
        _EPOLL,
        _LOOPS,
    ),
    Real("gevent", "python:gevent", "pip install gevent", _python(GEVENT), lines(b"hello\n"), _EPOLL, _ONE),
    Real("uvicorn", "python:uvicorn", "pip install uvicorn", _uvicorn("--loop", "asyncio"), _HTTP, _EPOLL, _ONE),
    Real(
        "uvicorn 2 workers",
        "python:uvicorn",
        "pip install uvicorn",
        _uvicorn("--workers", "2", "--loop", "asyncio"),
        _HTTP,
        _EPOLL,
        _LOOPS,
    ),
    Real("uvicorn uvloop", "python:uvloop", "pip install uvicorn uvloop", _uvicorn("--loop", "uvloop"), _HTTP, _EPOLL, _ONE),
    Real(
        "hypercorn",
        "python:hypercorn",
        "pip install hypercorn",
        _of_app(ASGI, PYTHON, "-m", "hypercorn", "--bind", "127.0.0.1:PORT", "FOLDER/app:app"),
        _HTTP,
        _EPOLL,
        _ONE,
    ),
    Real("aiohttp", "python:aiohttp", "pip install aiohttp", _python(AIOHTTP), _HTTP, _EPOLL, _ONE),
    Real("tornado", "python:tornado", "pip install tornado", _python(TORNADO), _HTTP, _EPOLL, _ONE),
    Real("trio", "python:trio", "pip install trio", _python(TRIO), lines(b"hello\n"), _EPOLL, _ONE),
    Real(
        "twisted",
        "python:twisted",
        "pip install twisted",
        _words(PYTHON, "-m", "twisted", "web", "--listen", "tcp:PORT:interface=127.0.0.1", "--path", "FOLDER"),
        _HTTP,
        _EPOLL,
        _ONE,
    ),
    Real(
        "waitress",
        "python:waitress",
        "pip install waitress",
        _of_app(
            WSGI,
            PYTHON,
            "-c",
            "import sys; sys.path[:0] = ['FOLDER']; import app, waitress; waitress.serve(app.app, host='127.0.0.1', port=PORT)",
        ),
        _HTTP,
        (_M.SELECT, _M.POLL),
        (_A.LOOP_AND_HELPERS,),
    ),
    Real(
        "cheroot",
        "python:cheroot",
        "pip install cheroot",
        _of_app(WSGI, PYTHON, "-c", "import sys; sys.path[:0] = ['FOLDER']\n" + CHEROOT),
        _HTTP,
        (_M.THREAD_POOL,),
        (_A.THREAD_POOL,),
    ),
    Real("node http", "node", "apt-get install nodejs", _with_file("server.js", NODE_HTTP, "node"), _HTTP, _EPOLL, _ONE),
    Real(
        "node files",
        "node",
        "apt-get install nodejs",
        _with_file("server.js", NODE_FILES, "node"),
        _HTTP,
        _EPOLL,
        (_A.LOOP_AND_HELPERS,),
    ),
    Real(
        "node cluster",
        "node",
        "apt-get install nodejs",
        _with_file("server.js", NODE_CLUSTER, "node"),
        _HTTP,
        _EPOLL,
        (_A.ACCEPTOR_AND_WORKERS,),
    ),
    Real(
        "perl",
        "perl",
        "apt-get install perl",
        _with_file("server.pl", PERL, "perl"),
        lines(b"hello\n"),
        (_M.BLOCKING,),
        (_A.SEQUENTIAL,),
    ),
    Real(
        "webrick",
        "ruby",
        "apt-get install ruby-webrick",
        _with_file("server.rb", WEBRICK, "ruby"),
        _HTTP,
        (_M.THREADS,),
        (_A.THREAD_PER_CONNECTION,),
    ),
    Real(
        "puma",
        "puma",
        "apt-get install puma",
        _of_app(WSGI, "puma", "-q", "-t", "4:4", "-b", "tcp://127.0.0.1:PORT", "FOLDER/config.ru"),
        _HTTP,
        (_M.THREAD_POOL,),
        (_A.THREAD_POOL,),
    ),
    Real(
        "php -S",
        "php",
        "apt-get install php-cli",
        _words("php", "-S", "127.0.0.1:PORT", "-t", "FOLDER"),
        _HTTP,
        (_M.POLL,),
        _ONE,
    ),
    Real(
        "apache event",
        "apache2",
        "apt-get install apache2",
        _apache("event"),
        _HTTP,
        (_M.EPOLL, _M.THREAD_POOL),
        (_A.LOOP_AND_WORKERS, _A.THREAD_POOL),
    ),
    Real("apache worker", "apache2", "apt-get install apache2", _apache("worker"), _HTTP, (_M.THREAD_POOL,), (_A.THREAD_POOL,)),
    Real("apache prefork", "apache2", "apt-get install apache2", _apache("prefork"), _HTTP, (_M.PROCESS_POOL,), (_A.PREFORK,)),
    Real(
        "varnish",
        "varnishd",
        "apt-get install varnish",
        lambda site: [
            "varnishd",
            "-F",
            "-a",
            f"127.0.0.1:{site.port}",
            "-n",
            str(site.folder / "v"),
            "-f",
            site.file("v.vcl", VARNISH),
            "-j",
            "none",
        ],
        _HTTP,
        (_M.THREAD_POOL,),
        (_A.THREAD_POOL,),
    ),
    Real(
        "beanstalkd",
        "beanstalkd",
        "apt-get install beanstalkd",
        _words("beanstalkd", "-l", "127.0.0.1", "-p", "PORT"),
        lines(b"list-tubes\r\n"),
        _EPOLL,
        _ONE,
    ),
    Real(
        "mosquitto",
        "mosquitto",
        "apt-get install mosquitto",
        _words("mosquitto", "-p", "PORT"),
        lines(bytes.fromhex("100d00044d51545404020000000131"), b"\xc0\x00"),
        _EPOLL,
        _ONE,
    ),
    Real(
        "mini-httpd",
        "mini_httpd",
        "apt-get install mini-httpd",
        _words("mini_httpd", "-D", "-h", "127.0.0.1", "-p", "PORT", "-d", "FOLDER", "-u", "root"),
        _HTTP,
        (_M.PROCESSES,),
        (_A.PROCESS_PER_CONNECTION,),
    ),
    Real(
        "xinetd",
        "xinetd",
        "apt-get install xinetd",
        _with_file("conf", XINETD, "xinetd", "-dontfork", "-f"),
        lines(b"hello\n"),
        (_M.PROCESSES,),
        (_A.PROCESS_PER_CONNECTION,),
    ),
    Real(
        "dropbear",
        "dropbear",
        "apt-get install dropbear-bin",
        _words("dropbear", "-F", "-E", "-R", "-p", "127.0.0.1:PORT", "-P", "FOLDER/pid", "-r", "FOLDER/key"),
        lines(b"SSH-2.0-test\r\n", b"x" * 64, greeting=True, messages=1),
        (_M.PROCESSES,),
        (_A.PROCESS_PER_CONNECTION,),
    ),
    Real("h2o", "h2o", "apt-get install h2o", _with_file("conf", H2O, "h2o", "-c"), _HTTP, (_M.EPOLL, _M.EPOLL_EDGE), _LOOPS),
)
