"""`serve stream` on brokers that want to know who somebody is, and on what is no broker."""

import http.server
import json
import ssl
import threading
import time
from base64 import b64encode

import pytest
from certificates import certificate
from joserfc import jwt
from joserfc.jwk import RSAKey
from streaming import finished, streaming

from bench.stream.cluster import Cluster

TEXT = "The staate of thhe Union is stong, and it wlil stay so"
LOGIN = ("revertant", "open sesame")
SECONDS = 8


class Provider(http.server.BaseHTTPRequestHandler):
    """An OpenID provider: tokens for who knows the password, and the key to check them by."""

    key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})

    def do_GET(self):
        """Tell the public key."""
        self.answer(200, {"keys": [self.key.as_dict(private=False)]})

    def do_POST(self):
        """Give a token of some seconds."""
        self.rfile.read(int(self.headers["content-length"]))
        if self.headers["authorization"] != f"Basic {b64encode(':'.join(LOGIN).encode()).decode()}":
            self.answer(401, {"error": "invalid_client"})
            return
        self.server.given += 1
        now = int(time.time())
        claims = {"sub": LOGIN[0], "aud": "kafka", "iss": "test", "iat": now, "exp": now + SECONDS, "scope": "all"}
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        self.answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": SECONDS})

    def answer(self, status, body):
        """Answer in JSON."""
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def provider():
    """Start providers, by HTTPS with the certificate of a file, or without."""
    servers = []

    def start(both=None):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
        server.given = 0
        if both:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(both)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_tokens_of_a_provider_are_renewed(programs, provider, tmp_path):
    """OAUTHBEARER over TLS: a stream outlives its tokens; with a wrong password it says so and ends."""
    ca, both = certificate(tmp_path)
    tokens, keys = provider(both), provider()
    url = f"http://127.0.0.1:{keys.server_port}/keys"
    module = "org.apache.kafka.common.security.oauthbearer"
    own = "listener.name.clients.oauthbearer"
    broker = {
        "sasl.enabled.mechanisms": "OAUTHBEARER",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(both),
        f"{own}.sasl.server.callback.handler.class": f"{module}.OAuthBearerValidatorCallbackHandler",
        f"{own}.sasl.jaas.config": f"{module}.OAuthBearerLoginModule required;",
        f"{own}.sasl.oauthbearer.jwks.endpoint.url": url,
        f"{own}.sasl.oauthbearer.expected.audience": "kafka",
        f"{own}.sasl.oauthbearer.expected.issuer": "test",
        f"{own}.connections.max.reauth.ms": str(SECONDS * 500),
    }
    env = {
        "KAFKA_CLIENTS": "SASL_SSL",
        "KAFKA_EXTRA": "\n".join(f"{name}={value}" for name, value in broker.items()),
        "KAFKA_OPTIONS": f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}",
    }
    cluster = Cluster(tmp_path / "kafka", env=env)
    cluster.properties = {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(ca),
        "https.ca.location": str(ca),
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": LOGIN[0],
        "sasl.oauthbearer.client.secret": LOGIN[1],
        "sasl.oauthbearer.token.endpoint.url": f"https://127.0.0.1:{tokens.server_port}/token",
    }
    with cluster:
        cluster.make("safe", "safe-out", "safe.dead-letters", partitions=1)
        with streaming(programs, cluster, "safe", "--identity", log=tmp_path / "log"):
            cluster.write("safe", [{"value": f"{TEXT} 0"}])
            assert len(cluster.read("safe-out", 1)) == 1
            # Of the stream alone: nobody else asks for tokens now.
            given = tokens.given
            time.sleep(3 * SECONDS)
            assert tokens.given > given
            cluster.write("safe", [{"value": f"{TEXT} {at}"} for at in range(1, 4)])
            found = cluster.read("safe-out", 4)
            assert [one.value().decode() for one in found] == [f"{TEXT} {at}" for at in range(4)]
        topics = ["--input-topic", "safe", "--output-topic", "safe-out"]
        wrong = cluster.properties | {"sasl.oauthbearer.client.secret": "wrong-secret"}
        options = [option for name, value in wrong.items() for option in ("--property", f"{name}={value}")]
        status, said = finished(programs, cluster.bootstrap, *topics, *options)
        assert status == 1 and "no broker at" in said and "wrong-secret" not in said, said


def test_brokers_that_are_none_or_refuse_are_told(programs, tmp_path):
    """A wrong password, and something that speaks another language."""
    jaas = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_ann="right";'
    extra = f"sasl.enabled.mechanisms=PLAIN\nlistener.name.clients.plain.sasl.jaas.config={jaas}"
    env = {"KAFKA_CLIENTS": "SASL_PLAINTEXT", "KAFKA_EXTRA": extra}
    cluster = Cluster(tmp_path / "kafka", env=env)
    cluster.properties = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "ann",
        "sasl.password": "right",
    }
    with cluster:
        cluster.make("safe", "safe-out", "safe.dead-letters")
        cluster.write("safe", [{"value": TEXT}])
        with streaming(programs, cluster, "safe", "--identity", log=tmp_path / "log"):
            assert len(cluster.read("safe-out", 1)) == 1
        secrets = tmp_path / "kafka.properties"
        wrong = cluster.properties | {"sasl.password": "wrong-secret"}
        secrets.write_text("# of the test\n" + "".join(f"{name} = {value}\n" for name, value in wrong.items()))
        topics = ["--input-topic", "safe", "--output-topic", "safe-out"]
        status, said = finished(programs, cluster.bootstrap, *topics, "--properties-file", secrets)
        assert status == 1 and "uthentication failed" in said and "wrong-secret" not in said, said

    class Page(http.server.BaseHTTPRequestHandler):
        """Answers in HTTP."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        status, said = finished(programs, f"127.0.0.1:{page.server_port}", *topics)
        page.shutdown()
    assert status == 1 and "no broker at" in said and "--property" in said, said
