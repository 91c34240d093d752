import Glibc
import JSON
import Jobs
import Providers
import Synchronization
import TemporaryPath
import Testing

private let scalePath = "/apis/apps/v1/namespaces/serving/deployments/swift-workers/scale"

private func scale(_ wanted: Int, present: Int? = nil) -> JSONValue {
    ["kind": "Scale", "spec": ["replicas": .int(wanted)], "status": ["replicas": .int(present ?? wanted), "selector": "app=swift,tier in (gpu)"]]
}

private func pod(_ name: String, ready: Bool, _ status: JSONObject = JSONObject(), leaving: Bool = false) -> JSONValue {
    var all = status
    if all["conditions"] == nil { all["conditions"] = .array([["type": "Ready", "status": .string(ready ? "True" : "False")]]) }
    var metadata: JSONObject = JSONObject([("name", .string(name))])
    if leaving { metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
    return ["metadata": .object(metadata), "status": .object(all)]
}

private func waiting(_ name: String, _ reason: String, _ message: String? = nil, last: JSONValue = .null) -> JSONValue {
    let state: JSONValue = ["waiting": ["reason": .string(reason), "message": message.map(JSONValue.string) ?? .null]]
    return pod(name, ready: false, JSONObject([("containerStatuses", .array([["state": state, "lastState": ["terminated": last]]]))]))
}

@Suite struct KubernetesProviderTests {
    private func definition(_ address: String?, tokenFile: String? = nil) -> ProviderDefinition {
        var definition = ProviderDefinition(.kubernetes)
        definition.address = address
        definition.namespace = "serving"
        definition.deployment = "swift-workers"
        definition.tokenFile = tokenFile
        return definition
    }

    private func withFile(_ text: String, _ body: (String) async throws -> Void) async throws {
        var template = Array(temporaryPath("needletail-token-XXXXXX").utf8CString)
        let file = mkstemp(&template)
        try #require(file >= 0)
        defer { close(file) }
        let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        defer { unlink(path) }
        try write(text, to: path)
        try await body(path)
    }

    private func write(_ text: String, to path: String) throws {
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
    }

    @Test func scalesByPatchingTheSubresource() async throws {
        try await withFile("first-token\n") { tokenFile in
            let server = RecordingServer { request in (200, scale(request.method == "GET" ? 2 : 5)) }
            try await server.run { address in
                let provider = try KubernetesProvider(definition(address + "/", tokenFile: tokenFile))
                #expect(try await provider.scale(to: 5) == 2)
                // The token is replaced while the program runs.
                try write("second-token", to: tokenFile)
                #expect(try await provider.scale(to: 2) == 2)
                await provider.close()
            }
            let requests = server.requests
            #expect(requests.map(\.method) == ["GET", "PATCH", "GET"])
            #expect(requests.allSatisfy { $0.target == scalePath })
            #expect(requests[1].contentType == "application/merge-patch+json")
            #expect(requests[1].body == #"{"spec":{"replicas":5}}"#)
            #expect(requests.map(\.authorization) == ["Bearer first-token", "Bearer first-token", "Bearer second-token"])
        }
    }

    @Test func triesAgainAfterAConflict() async throws {
        let left = Mutex(2)
        let server = RecordingServer { request in
            if request.method == "GET" { return (200, scale(0)) }
            return left.withLock { $0 -= 1; return $0 >= 0 } ? (409, ["message": "the object has been modified"]) : (200, scale(1))
        }
        try await server.run { address in
            let provider = try KubernetesProvider(definition(address))
            #expect(try await provider.scale(to: 1) == 0)
            left.withLock { $0 = 9 }
            let error = await #expect(throws: ProviderError.self) { try await provider.scale(to: 1) }
            #expect(error?.isCapacity == true && error?.description.contains("changed by others") == true)
            await provider.close()
        }
        #expect(server.requests.count(where: { $0.method == "PATCH" }) == 6)
    }

    @Test func countsReadyPodsAndSaysWhyOthersAreNot() async throws {
        let pods = Mutex<[JSONValue]>([])
        let wanted = Mutex(3)
        let server = RecordingServer { request in
            if request.target.contains("/pods?") { return (200, ["items": .array(pods.withLock { $0 })]) }
            if request.target.hasSuffix("/scale") { return (200, scale(wanted.withLock { $0 }, present: pods.withLock { $0.count })) }
            let conditions: JSONValue = [
                ["type": "Available", "status": "False"], ["type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"],
            ]
            return (200, ["status": ["conditions": conditions]])
        }
        try await server.run { address in
            let provider = try KubernetesProvider(definition(address))
            func state(_ list: [JSONValue]) async throws -> FleetState {
                pods.withLock { $0 = list }
                return try await provider.fleet()
            }
            let good = [pod("a", ready: true), pod("b", ready: true)]
            #expect(try await state(good + [pod("c", ready: true)]) == FleetState(wanted: 3, ready: 3))
            #expect(try await state(good + [pod("c", ready: true, leaving: true), pod("d", ready: false)]) == FleetState(wanted: 3, ready: 2))
            let unscheduled = JSONObject([
                (
                    "conditions",
                    .array([["type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes have nvidia.com/gpu"]])
                )
            ])
            #expect(try await state(good + [pod("c", ready: false, unscheduled)]).reason == "Unschedulable: 0/3 nodes have nvidia.com/gpu")
            #expect(
                try await state(good + [waiting("c", "ImagePullBackOff", "Back-off pulling image \"x\"")]).reason
                    == "ImagePullBackOff: Back-off pulling image \"x\"")
            #expect(
                try await state(good + [waiting("c", "CrashLoopBackOff", "back-off 5m0s", last: ["exitCode": 137, "reason": "OOMKilled"])]).reason
                    == "CrashLoopBackOff: back-off 5m0s (it ended with exit code 137, OOMKilled)")
            #expect(try await state(good + [waiting("c", "ContainerCreating")]).reason == nil)
            #expect(try await state([]) == FleetState(wanted: 3, ready: 0, reason: "FailedCreate: exceeded quota"))
            wanted.withLock { $0 = 0 }
            #expect(try await state([]) == FleetState(wanted: 0, ready: 0))
            await provider.close()
        }
        let list = server.requests.first { $0.target.contains("/pods") }
        #expect(list?.target == "/api/v1/namespaces/serving/pods?limit=500&labelSelector=app%3Dswift%2Ctier%20in%20%28gpu%29")
    }

    @Test func ranksPodsByTheirAnnotation() async throws {
        let server = RecordingServer { request in request.target.hasSuffix("/gone") ? (404, .null) : (200, .null) }
        try await server.run { address in
            let provider = try KubernetesProvider(definition(address))
            await provider.rank([WorkerID("pod-a"): 10, WorkerID("gone"): 20, WorkerID("../../secrets/x"): 1, WorkerID("pod-b"): 1 << 40])
            // What was told is not told again.
            await provider.rank([WorkerID("pod-a"): 10, WorkerID("pod-b"): 7])
            await provider.close()
        }
        let requests = server.requests.sorted { ($0.target, $0.body) < ($1.target, $1.body) }
        #expect(requests.allSatisfy { $0.method == "PATCH" && $0.contentType == "application/merge-patch+json" })
        #expect(requests.map(\.target).map { $0.split(separator: "/").last } == ["gone", "pod-a", "pod-b", "pod-b"])
        #expect(requests[1].target == "/api/v1/namespaces/serving/pods/pod-a")
        #expect(requests[1].body == #"{"metadata":{"annotations":{"controller.kubernetes.io/pod-deletion-cost":"10"}}}"#)
        #expect(requests[2].body.contains("2147483647"))
    }

    @Test(arguments: [
        (401, "does not accept the token (401); check 'tokenFile'", false), (403, "forbids to get deployments/scale in namespace serving (403)", false),
        (404, "has no Deployment 'swift-workers' in namespace 'serving'", false), (500, "failed to get deployments/scale (500): it broke", true),
        (429, "(429)", true), (302, "(302)", false), (418, "refuses to get deployments/scale (418)", false),
    ])
    func saysWhatIsWrong(_ status: Int, _ message: String, _ isCapacity: Bool) async throws {
        try await withFile("very-secret") { tokenFile in
            let server = RecordingServer { _ in (status, ["kind": "Status", "message": "it broke", "location": "http://127.0.0.1:1/"]) }
            try await server.run { address in
                let provider = try KubernetesProvider(definition(address, tokenFile: tokenFile))
                let error = await #expect(throws: ProviderError.self) { try await provider.fleet() }
                #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
                #expect(error?.description.contains("very-secret") == false && error?.isCapacity == isCapacity)
                await provider.close()
            }
            #expect(server.requests.count == 1)
        }
    }

    @Test func saysWhenNobodyAnswersOrSomethingElseDoes() async throws {
        let provider = try KubernetesProvider(definition("http://127.0.0.1:1"))
        let error = await #expect(throws: ProviderError.self) { try await provider.fleet() }
        #expect(error?.description == "cannot reach Kubernetes at http://127.0.0.1:1: the connection was refused")
        await provider.close()
        let server = RecordingServer { _ in (200, "<html>") }
        try await server.run { address in
            let provider = try KubernetesProvider(definition(address))
            let error = await #expect(throws: ProviderError.self) { try await provider.scale(to: 1) }
            #expect(error?.description.contains("is 'address' an API server?") == true)
            await provider.close()
        }
    }

    @Test func takesItsClusterFromThePod() async throws {
        var place = KubernetesProvider.InCluster(host: "127.0.0.1", port: "1")
        place.folder = "/no/such/folder"
        let missing = #expect(throws: ProviderError.self) { try KubernetesProvider(definition(nil), inCluster: place) }
        #expect(missing?.description.contains("/no/such/folder/ca.crt") == true)
        let outside = #expect(throws: ProviderError.self) { try KubernetesProvider(definition(nil), inCluster: .init(host: nil, port: nil)) }
        #expect(outside?.description.contains("does not run in a cluster") == true)
        for address in ["127.0.0.1:1", "ftp://x", "http://user:pw@x", "http://x/?a", "http://", "http:///x", "http://a b"] {
            let error = #expect(throws: ProviderError.self) { try KubernetesProvider(definition(address)) }
            #expect(error?.description.contains("'address' must be") == true && error?.description.contains("pw") == false)
        }
        var odd = definition("http://127.0.0.1:1")
        odd.namespace = "a/b"
        #expect(throws: ProviderError.self) { try KubernetesProvider(odd) }
    }
}
