import Glibc
import Jobs
import Providers
import Testing

/// A pod's view of its cluster: address from the environment, token, authority and namespace from mounted files, over TLS.
@Suite struct InClusterTests {
    private static let server = """
        import http.server, ssl
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                print(self.path, self.headers["Authorization"], flush=True)
                body = b'{"kind": "Scale", "spec": {}, "status": {}}'
                self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
            def log_message(self, *_): pass
        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain("ca.crt", "key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print("port", server.server_port, "ready", flush=True)
        server.serve_forever()
        """

    @Test func takesAddressTokenAuthorityAndNamespace() async throws {
        let place = try ProcessPlace()
        let certificate = """
            cd \(place.folder) && printf serving > namespace && printf 'pod-token\\n' > token &&
            openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1 -keyout key -out ca.crt && exec python3 -c "$SERVER"
            """
        let server = try await place.shell(certificate, [("SERVER", Self.server)])
        let output = try await place.output(server, has: " ready")
        let port = try #require(output.split(separator: "\n").first { $0.hasPrefix("port ") }?.split(separator: " ")[1])
        var cluster = KubernetesProvider.InCluster(host: "127.0.0.1", port: String(port))
        cluster.folder = place.folder
        var definition = ProviderDefinition(.kubernetes)
        definition.deployment = "swift-workers"
        let provider = try KubernetesProvider(definition, inCluster: cluster)
        #expect(try await provider.fleet() == FleetState(wanted: 0, ready: 0))
        await provider.close()
        _ = try await place.output(server, has: "/apis/apps/v1/namespaces/serving/deployments/swift-workers/scale Bearer pod-token")

        // Without the authority the server is not trusted, and the token stays here.
        definition.address = "https://127.0.0.1:\(port)"
        definition.tokenFile = place.folder + "/token"
        let distrustful = try KubernetesProvider(definition)
        let error = await #expect(throws: ProviderError.self) { try await distrustful.fleet() }
        #expect(error?.description.contains("cannot reach Kubernetes") == true && error?.description.contains("CERTIFICATE_VERIFY_FAILED") == true, "\(error?.description ?? "")")
        await distrustful.close()
        #expect(await place.provider.lastOutput(server, lines: 100)?.contains("/namespaces/default/") == false)
        await place.provider.stop(server, graceSeconds: 0)
        _ = try await place.ended(server)
    }
}
