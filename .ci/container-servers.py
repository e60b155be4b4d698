"""A name server and an HTTPS server on loopback, for .ci/e2e.d/container: every name is 127.0.0.9, and every request is answered 401."""

import http.server
import pathlib
import socket
import ssl
import struct
import sys
import threading

work = pathlib.Path(sys.argv[1])


class Refuse(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"detail": "Invalid token."}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def answer_names(names):
    with open(work / "dns", "w", buffering=1) as log:
        while True:
            query, client = names.recvfrom(512)
            question, at, parts = query[12:], 0, []
            while question[at]:
                parts.append(question[at + 1 : at + 1 + question[at]].decode())
                at += question[at] + 1
            kind = struct.unpack(">H", question[at + 1 : at + 3])[0]
            log.write(f"asked {'.'.join(parts)}\n")
            # Type A; there is no address of another type.
            record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + bytes([127, 0, 0, 9]) if kind == 1 else b""
            head = query[:2] + b"\x81\x80\0\x01" + (b"\0\x01" if record else b"\0\0") + b"\0\0\0\0"
            names.sendto(head + question[: at + 5] + record, client)


names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.0.0.53", 53))
server = http.server.ThreadingHTTPServer(("127.0.0.9", 443), Refuse)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(work / "server.pem", work / "server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=answer_names, args=(names,), daemon=True).start()
(work / "ready").touch()
server.serve_forever()
