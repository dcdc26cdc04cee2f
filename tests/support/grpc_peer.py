"""A real gRPC server and client, without generated code: messages are bytes.

The server has a unary call that gives back what it gets, and a stream of as many messages as it is told.
"""

from concurrent import futures
from contextlib import contextmanager

import grpc

SERVICE = "shop.Orders"
MESSAGE = b"\x0a\x05hello" * 100


def _unary(request, context):
    context.set_trailing_metadata([("x-served-by", "orders"), ("x-data-bin", b"\x00\xff")])
    if request == b"fail":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "50 % of nothing: ünknown")
    return request


def _stream(request, context):
    for number in range(int(request)):
        yield b"message %d" % number
    context.set_trailing_metadata([("x-served-by", "orders")])


@contextmanager
def serving(credentials=None):
    """The address of a running server, under TLS with `credentials`."""
    pool = futures.ThreadPoolExecutor(max_workers=8)
    server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(_unary),
        "Other": grpc.unary_unary_rpc_method_handler(_unary),
        "List": grpc.unary_stream_rpc_method_handler(_stream),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    port = server.add_secure_port("127.0.0.1:0", credentials) if credentials else server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(20)


class Client:
    """Calls of that server at `address`, on a connection of their own; under TLS if `roots` says whom to trust."""

    def __init__(self, address, roots=None):
        # It must neither try again by itself nor share a connection with another client.
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        if roots is None:
            self.channel = grpc.insecure_channel(address, options)
        else:
            options.append(("grpc.ssl_target_name_override", "localhost"))
            self.channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(roots), options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def call(self, method="Echo", message=MESSAGE, timeout=10):
        """The answer and its trailers; raises `grpc.RpcError`."""
        unary = self.channel.unary_unary(f"/{SERVICE}/{method}")
        answer, call = unary.with_call(message, timeout=timeout, metadata=[("x-tenant", "a")])
        return answer, dict(call.trailing_metadata())

    def fails(self, *arguments, **named):
        """The status that a call fails with, and its message."""
        try:
            answer, _ = self.call(*arguments, **named)
        except grpc.RpcError as error:
            return error.code(), error.details()
        raise AssertionError(f"it was answered: {answer}")

    def list(self, count, timeout=10):
        """The messages of a stream as far as they come, and what it ends with."""
        call = self.channel.unary_stream(f"/{SERVICE}/List")(b"%d" % count, timeout=timeout)
        messages = []
        try:
            for message in call:
                messages.append(message)
        except grpc.RpcError as error:
            return messages, error.code()
        return messages, call.code()
