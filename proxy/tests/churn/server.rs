//! The upstream: it sends back what it gets, FIN included.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use crate::talk::say;

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        socket.listen(4096).unwrap()
    });
    say(listener.local_addr().unwrap());
    runtime.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    // Until the parent has nothing more to say.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
