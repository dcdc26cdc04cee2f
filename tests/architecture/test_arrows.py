"""Holds the first four invariants of ARCHITECTURE.md: who may know whom, and what the core may do."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Crate -> the crates of the workspace that it may know. What is missing here must say where it stands.
MAY_KNOW = {
    "sabot-invalid": set(),
    "sabot-document": {"sabot-invalid"},
    "sabot-toxics": {"sabot-invalid"},
    "sabot-proxy": {"sabot-toxics"},
    "sabot-injections": {"sabot-toxics", "sabot-proxy"},
    "sabot-admin-api": {"sabot-toxics", "sabot-proxy", "sabot-injections"},
    "sabot-client": set(),
    # The core for its seed tree and its distributions: one of each for faults and load alike.
    "sabot-runner": {"sabot-document", "sabot-toxics", "sabot-client"},
    # The system under test must not know that it is tested.
    "sabot-lab": set(),
    "sabot": {"sabot-document", "sabot-toxics", "sabot-proxy", "sabot-injections", "sabot-admin-api", "sabot-client", "sabot-runner", "sabot-lab"},
    # What measures the others may use them all; nobody may use it.
    "sabot-benches": {"sabot-toxics", "sabot-proxy", "sabot-admin-api", "sabot-client"},
}

# The core, and what it stands on.
CORE = ("sabot-toxics", "sabot-invalid")

# Crates that would bring a socket, a task, a clock or a global generator into the core.
KEPT_OUT_OF_THE_CORE = {"tokio", "mio", "async-std", "smol", "hyper", "socket2", "rustix", "nix", "libc", "rand", "fastrand", "getrandom", "chrono", "jiff", "time"}

# The same by the standard library's own means.
NOT_IN_THE_CORE = {
    # `type Instant` is what a trait of another crate calls the time that it is given.
    r"(?<!type )\bInstant\b": "reads a clock: time is an argument",
    r"\bSystemTime\b": "reads a clock: time is an argument",
    r"\bstd::net::(?!\{?Ip)": "opens sockets (addresses alone are fine)",
    r"\bstd::(fs|process|os|env)\b": "reaches out of the process",
    r"\bstd::thread\b|\bthread::(spawn|sleep)": "spawns or sleeps",
    r"\b(thread_rng|rand::rng|random\(\))": "draws from a global generator",
    r"\bRandomState\b|\bHashMap\b|\bHashSet\b": "its order differs from run to run",
}

# Files in which `unsafe` may stand, each with its proof beside it.
UNSAFE = re.compile(r"(^|/)(unsafe_[a-z_]+|[a-z_]+_unsafe)\.rs$")


@cache
def workspace():
    """Package name -> package, for the members of the workspace."""
    run = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"]
    output = subprocess.run(run, cwd=ROOT, capture_output=True, check=True).stdout
    return {package["name"]: package for package in json.loads(output)["packages"]}


def dependencies(package, kinds=(None, "build")):
    return {each["name"] for each in workspace()[package]["dependencies"] if each["kind"] in kinds}


def sources(package, folder="src"):
    """The source files of a member, without comments: a rule named in a comment breaks nothing."""
    base = Path(workspace()[package]["manifest_path"]).parent / folder
    for path in sorted(base.rglob("*.rs")):
        code = [line.split("//")[0] for line in path.read_text().splitlines()]
        yield path.relative_to(ROOT), code


def places(package, pattern):
    return [
        f"{path}:{number}: {line.strip()}"
        for path, code in sources(package)
        for number, line in enumerate(code, 1)
        if re.search(pattern, line)
    ]


def test_every_member_says_where_it_stands():
    assert set(workspace()) <= set(MAY_KNOW), "give the new crate its place in MAY_KNOW"


@pytest.mark.parametrize("package", sorted(MAY_KNOW))
def test_dependencies_run_one_way(package):
    if package not in workspace():
        pytest.skip("not in the workspace")
    known = dependencies(package) & set(MAY_KNOW)
    assert known <= MAY_KNOW[package], f"{package} must not know {known - MAY_KNOW[package]}"


@pytest.mark.parametrize("package", CORE)
def test_the_core_depends_on_nothing_that_acts(package):
    assert not dependencies(package) & KEPT_OUT_OF_THE_CORE


@pytest.mark.parametrize("package", CORE)
@pytest.mark.parametrize("pattern", NOT_IN_THE_CORE)
def test_the_core_does_nothing_by_itself(package, pattern):
    assert not places(package, pattern), NOT_IN_THE_CORE[pattern]


def test_the_patterns_find_what_they_forbid():
    offences = ["Instant::now()", "std::net::TcpStream", "std::thread::sleep(x)", "rand::rng()", "HashMap::new()"]
    for offence in offences:
        assert any(re.search(pattern, offence) for pattern in NOT_IN_THE_CORE), offence
    assert not any(re.search(pattern, "use std::net::IpAddr;") for pattern in NOT_IN_THE_CORE)


@pytest.mark.parametrize("package", sorted(MAY_KNOW))
def test_unsafe_code_has_a_file_of_its_own(package):
    if package not in workspace():
        pytest.skip("not in the workspace")
    found = places(package, r"\bunsafe\s*(\{|fn|impl|extern)")
    assert [place for place in found if not UNSAFE.search(place.split(":")[0])] == []


def test_the_relay_knows_no_toxic_by_name():
    """What is special about a kind stands in its file, never in the shell that drives them all."""
    listed = re.findall(r"^\s+(?:stream|connect) \w+::(\w+),", (ROOT / "toxics/src/kinds/mod.rs").read_text(), re.M)
    assert len(listed) > 10, "the list of kinds was not found"
    names = "|".join(name for name in listed)
    # The names of the types: `Timeout` and `Latency` in a path of the toxics crate.
    found = places("sabot-proxy", rf"\b(kinds|sabot_toxics)::({names})\b")
    # Tests and examples of embedding add toxics by name, as users do.
    assert [place for place in found if "test" not in place.split(":")[0] and "/embed" not in place] == []
