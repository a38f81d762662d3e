"""Puts TLS in front of the test server, and fetches a day through it: by hand, as no test here has a certificate.

    cd tasks/provider/tests/oracle
    python3 tls.py ../../../../target/release ../../../../target/release/examples/tq-server market.yaml

The certificates are made with openssl for this run; `ghtrader-tasks` finds them as the
machine's own by SSL_CERT_FILE, and then without it, where it has to refuse.
"""

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

programs, server, market = sys.argv[1:4]
process = subprocess.Popen([server, market, "cu", "1"], stdout=subprocess.PIPE, text=True)
address, user, password = process.stdout.readline().split()
port = int(address.rsplit(":", 1)[1])
folder = tempfile.mkdtemp()
authority, key, certificate = f"{folder}/authority.pem", f"{folder}/key.pem", f"{folder}/certificate.pem"


def openssl(*arguments):
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*new, *arguments], check=True, capture_output=True)


openssl("-keyout", f"{folder}/authority.key", "-out", authority, "-subj", "/CN=authority of a test")
openssl(
    "-CA", authority, "-CAkey", f"{folder}/authority.key", "-keyout", key, "-out", certificate, "-subj", "/CN=localhost",
    "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE",
)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
listener = socket.create_server(("127.0.0.1", 0))
secure = listener.getsockname()[1]
seen = []


def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    for end in (one, other):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(plain):
    try:
        client = context.wrap_socket(plain, server_side=True)
        first = client.recv(65536)
    except (ssl.SSLError, OSError) as error:
        seen.append(f"refused: {error}")
        return
    target = first.split(b" ")[1].decode()
    seen.append(f"{client.version()} {target.split('?')[0]}")
    if target.startswith("/ns"):
        body = json.dumps({"mdurl": f"wss://localhost:{secure}/t/md/front/mobile"}).encode()
        client.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        client.close()
        return
    behind = socket.create_connection(("127.0.0.1", port))
    behind.sendall(first)
    threading.Thread(target=pump, args=(behind, client), daemon=True).start()
    pump(client, behind)


def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()


def fetch(**more):
    out = tempfile.mkdtemp()
    guard = {"attempts": 1}
    request = {
        "contract": 1, "kind": "fetch", "cpus": 1, "memory": None, "devices": [],
        "params": {"source": {"server": f"https://localhost:{secure}", "guard": guard}},
        "matrix": {"contract": "SHFE.cu2403", "day": "2024-01-29"},
        "inputs": {"market": os.path.abspath(market)},
        "outputs": {"ticks": out, "no_data": f"{out}/no_data_output.json"},
    }
    path = f"{folder}/request.json"
    with open(path, "w") as file:
        json.dump(request, file)
    variables = {"PATH": os.environ["PATH"], "GHTRADER_TASK": path, "TQ_USER": user, "TQ_PASSWORD": password, **more}
    done = subprocess.run([f"{programs}/ghtrader-tasks", "run"], env=variables, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, sorted(os.listdir(out))


try:
    code, said, files = fetch(SSL_CERT_FILE=authority)
    print(*sorted(set(seen)), sep="\n")
    assert code == 0 and "SHFE.cu2403.2024-01-29.csv.gz" in files, (said, seen)
    print("fetched over TLS:", *files)
    code, said, _ = fetch()
    assert code == 1 and "certificate" in said.lower(), said
    print("without the certificate:", said.strip().splitlines()[-1])
finally:
    process.kill()
