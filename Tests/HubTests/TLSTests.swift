import Hub
import NIOSSL
import Testing

@Suite("Over TLS")
struct TLSTests {
    private let tiny = HubReference(repo: RepoID("acme/tiny")!)

    /// For 127.0.0.1 only, signed by itself, valid until 2126; of no use anywhere else. Made with
    /// `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1`.
    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBjzCCATagAwIBAgIUGtGgQQZDoR+R03qFx5xJjzvSuUAwCgYIKoZIzj0EAwIw
        FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMzE5MzAyOVoYDzIxMjYxMDMw
        MTkzMDI5WjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAARzLFk32QF6E4L4ODt3pY1HuRTlQaUkk/AQWphTsvwCn6uCSk0SbsMJ
        PdzRe9r//Nzej86hbmkWKMseTvDO/h5Uo2QwYjAdBgNVHQ4EFgQUnHCCWFkrY0IC
        1tYHWjBtThbSxoUwHwYDVR0jBBgwFoAUnHCCWFkrY0IC1tYHWjBtThbSxoUwDwYD
        VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0cAMEQC
        IEp9REaFcq86nK5OwF9ASweRPLN5pG/yNR3EEpB6kquoAiAY5NCrU5Gbtw7Qsitk
        MMR7PIUgd6aj4CaJa6HBehSPnw==
        -----END CERTIFICATE-----
        """
    private static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgxuLkqNPacgsIdaZP
        xvtfKdlbQyFQjHyFhMa+nPitl3yhRANCAARzLFk32QF6E4L4ODt3pY1HuRTlQaUk
        k/AQWphTsvwCn6uCSk0SbsMJPdzRe9r//Nzej86hbmkWKMseTvDO/h5U
        -----END PRIVATE KEY-----
        """

    private func context() throws -> NIOSSLContext {
        try NIOSSLContext(configuration: .makeServerConfiguration(
            certificateChain: NIOSSLCertificate.fromPEMBytes(Array(Self.certificate.utf8)).map { .certificate($0) },
            privateKey: .privateKey(NIOSSLPrivateKey(bytes: Array(Self.key.utf8), format: .pem))))
    }

    @Test func onlyTheNamedAuthorityIsTrusted() async throws {
        var repo = smallModel()
        repo.large = []
        try await TestHub.run(repo, tls: context()) { hub in
            let place = try Workplace()
            let stranger = await #expect(throws: HubError.self) { try await Hub.with(place.settings(hub)) { try await $0.fetch(tiny) } }
            #expect(stranger == .tls(host: "127.0.0.1", reason: "certificate verify failed"))
            #expect(stranger?.description.contains("SSL_CERT_FILE") == true)

            let authority = try place.file("ca.pem", Array(Self.certificate.utf8))
            let model = try await Hub.with(place.settings(hub, ["SSL_CERT_FILE": authority])) { try await $0.fetch(tiny) }
            #expect(Files.contents(model.weights[0], limit: 1 << 20) == repo.files["model.safetensors"])
        }
    }

    @Test func noStepDownToPlainText() async throws {
        try await TestHub.run(smallModel(), tls: context()) { hub in
            let place = try Workplace(), authority = try place.file("ca.pem", Array(Self.certificate.utf8))
            let settings = try place.settings(hub, ["SSL_CERT_FILE": authority])
            let error = await #expect(throws: HubError.self) { try await Hub.with(settings) { try await $0.fetch(tiny) } }
            guard case .unsafeRedirect(_, let to)? = error else { return #expect(Bool(false), "\(String(describing: error))") }
            #expect(to.hasPrefix("http://127.0.0.1") && !to.contains("SIGNED"))
            #expect(!hub.requests.contains { $0.isStorage })
        }
    }

    @Test func anAuthorityThatIsNone() async throws {
        try await TestHub.run(smallModel(), tls: context()) { hub in
            let place = try Workplace(), junk = try place.file("junk.pem", Array("hello".utf8))
            for path in [junk, Files.join(place.path, "absent.pem")] {
                let error = await #expect(throws: HubError.self) {
                    try await Hub.with(place.settings(hub, ["SSL_CERT_FILE": path])) { try await $0.fetch(tiny) }
                }
                guard case .badSetting("SSL_CERT_FILE", _)? = error else { return #expect(Bool(false), "\(String(describing: error))") }
            }
        }
    }
}
