"""Commands in a network of their own, where fixed ports are free and cannot be reached from outside.

Some clients and all documentation name ports such as 8474 and 6379. A network namespace with
nothing but a loopback gives every run those ports, whatever else the machine does; a process
namespace makes sure that nothing outlives the run.
"""

import os


def isolated(command):
    """The command line that runs `command` so."""
    # Without root, a user namespace gives the right to make the others.
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    return [
        "unshare", *rights, "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
        "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command,
    ]  # fmt: skip
