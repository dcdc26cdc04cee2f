"""What the tests of TLS share: a server with a CA of its own, proxies that terminate, certificates made by openssl."""

import pytest

from support.server import Server
from support.tls_peer import run, web


@pytest.fixture(scope="module")
def upstream():
    with web() as address:
        yield address


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return tmp_path_factory.mktemp("ca")


@pytest.fixture(scope="module")
def sabot(ca):
    with Server("--ca-dir", str(ca)) as server:
        # Made when somebody asks.
        (ca / "export.pem").write_text(server.get("/v1/ca"))
        yield server


@pytest.fixture(scope="module")
def trusted(sabot, ca):
    assert (ca / "export.pem").read_text() == (ca / "ca.pem").read_text()
    return ca / "ca.pem"


@pytest.fixture(scope="module", params=["tcp", "http"])
def proxy(request, sabot, upstream):
    return sabot.proxy(upstream, name=f"terminates-{request.param}", protocol=request.param, tls={"terminate": {}})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Makes certificates by openssl: `files(name, sans)`, signed by the CA `own.pem`."""
    place = tmp_path_factory.mktemp("files")

    def key(name):
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(place / f"{name}.key"))

    def make(name, sans="", usage="serverAuth", signer="own"):
        key(name)
        extension = place / f"{name}.ext"
        extension.write_text(f"extendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n" + (f"subjectAltName={sans}\n" if sans else ""))
        run("openssl", "req", "-new", "-key", str(place / f"{name}.key"), "-subj", f"/CN={name}", "-out", str(place / f"{name}.csr"))
        code, said = run(
            "openssl", "x509", "-req", "-in", str(place / f"{name}.csr"), "-CA", str(place / f"{signer}.pem"),
            "-CAkey", str(place / f"{signer}.key"), "-CAcreateserial", "-days", "2", "-extfile", str(extension),
            "-out", str(place / f"{name}.pem"),
        )
        assert code == 0, said
        return {"cert": str(place / f"{name}.pem"), "key": str(place / f"{name}.key")}

    for signer in ["own", "other"]:
        key(signer)
        run(
            "openssl", "req", "-x509", "-new", "-key", str(place / f"{signer}.key"), "-subj", f"/CN={signer} CA", "-days", "2",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-out", str(place / f"{signer}.pem"),
        )
    make.own, make.other = str(place / "own.pem"), str(place / "other.pem")
    make.place = place
    return make
