use clap::Args;
use sabot_proxy::Authority;
use serde_json::json;

use super::{Place, Run};
use crate::context::Context;

/// Say how clients are told to trust Sabot's CA
#[derive(Args)]
pub(crate) struct TrustHelp {
    #[command(flatten)]
    place: Place,
}

/// Who, and what to do; `{ca}` is the certificate's file.
const WAYS: &[(&str, &str)] = &[
    ("curl", "curl --cacert {ca} https://…"),
    ("openssl", "openssl s_client -CAfile {ca} -verify_return_error -connect HOST:PORT"),
    ("Python (requests)", "REQUESTS_CA_BUNDLE={ca}"),
    ("Python (ssl, urllib)", "SSL_CERT_FILE={ca}"),
    ("Node.js", "NODE_EXTRA_CA_CERTS={ca}"),
    ("Go", "SSL_CERT_FILE={ca}"),
    (
        "Java",
        "keytool -importcert -noprompt -alias sabot -file {ca} -keystore sabot.p12 -storetype PKCS12 -storepass changeit\n    java -Djavax.net.ssl.trustStore=sabot.p12 -Djavax.net.ssl.trustStorePassword=changeit …",
    ),
    (
        "Debian, Ubuntu",
        "sudo cp {ca} /usr/local/share/ca-certificates/sabot.crt && sudo update-ca-certificates",
    ),
    ("Alpine", "cp {ca} /usr/local/share/ca-certificates/sabot.crt && update-ca-certificates"),
    ("Fedora, RHEL", "sudo cp {ca} /etc/pki/ca-trust/source/anchors/sabot.pem && sudo update-ca-trust"),
    ("macOS", "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {ca}"),
    ("Windows", "certutil -addstore -user Root {ca}"),
    ("Firefox", "Settings, Privacy & Security, View Certificates, Authorities, Import: {ca}"),
];

impl Run for TrustHelp {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let file = Authority::certificate_file(&self.place.directory()?);
        let there = file.exists();
        // Where the server runs elsewhere, its certificate has to be fetched first.
        let path = if there { file.display().to_string() } else { "sabot-ca.pem".to_owned() };
        let ways: Vec<_> = WAYS.iter().map(|(who, how)| (*who, how.replace("{ca}", &path))).collect();
        let json = json!({"certificate": path, "there": there, "ways": ways.iter().map(|(who, how)| json!({"who": who, "how": how})).collect::<Vec<_>>()});
        cx.output.answer(&json, |out| {
            if there {
                writeln!(out, "The certificate of Sabot's CA is {path}")?;
            } else {
                writeln!(out, "Fetch the certificate first: sabot ca export > {path}")?;
            }
            writeln!(out, "Trust it on machines for tests only: who has its key can be any server.\n")?;
            for (who, how) in &ways {
                writeln!(out, "{who}\n    {how}")?;
            }
            Ok(())
        })
    }
}
